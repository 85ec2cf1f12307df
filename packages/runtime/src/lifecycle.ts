import { toError } from './errors.ts';
import type { Logger } from './log.ts';
import { withDeadline } from './wait.ts';

interface Part {
  name: string;
  close: () => unknown;
}

/** Things that were started, closed in the reverse order. */
export class Lifecycle {
  readonly #parts: Part[] = [];
  readonly #log: Logger;
  readonly #closeMs: number;
  #closing: Promise<void> | undefined;

  /** @param closeMs longest time that each part may take to close */
  constructor(log: Logger, closeMs = 10_000) {
    this.#log = log;
    this.#closeMs = closeMs;
  }

  /** Registers how to undo something that has just been started. */
  add(name: string, close: Part['close']): void {
    this.#parts.push({ name, close });
  }

  /** Closes everything once; a part that fails or is late is logged and does not keep the others open. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    for (const part of this.#parts.toReversed()) {
      try {
        await withDeadline(Promise.resolve(part.close()), this.#closeMs, `closing ${part.name}`);
      } catch (thrown) {
        this.#log.error({ part: part.name, err: toError(thrown) }, 'part did not close cleanly');
      }
    }
  }
}

/**
 * Runs a program until SIGTERM or SIGINT: closes it in order and exits 0. A second signal, or an error that
 * nobody caught, ends the process at once: every part of the system is safe to crash.
 */
export function runUntilSignal(lifecycle: Lifecycle, log: Logger): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) process.exit(130);
    stopping = true;
    log.info({ signal }, 'stopping');
    void lifecycle.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('uncaughtException', (error) => {
    log.error({ err: error }, 'uncaught error');
    process.exit(70);
  });
  process.on('unhandledRejection', (reason) => {
    log.error({ err: toError(reason) }, 'unhandled rejection');
    process.exit(70);
  });
}
