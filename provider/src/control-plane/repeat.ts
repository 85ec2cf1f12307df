import { type BackoffOptions, backoffMs } from '@computefabric/runtime/backoff';
import type { Logger } from '@computefabric/runtime/log';
import { pause } from '@computefabric/runtime/wait';
import { CallFailed, CallRefused } from './client.ts';

const backoff: BackoffOptions = { baseMs: 100, maxMs: 5_000 };
/** Logged at the first failure and then at every so many, so that a long outage does not fill the disk. */
const logEvery = 20;

interface RepeatOptions {
  what: string;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Makes a call until it is answered, however long the orchestrator is away: every call of ours may be made
 * again. A refusal is an answer and is thrown, except for one of the credential: an orchestrator that has
 * known it before is being restored or reconfigured.
 *
 * @throws the signal's reason when it aborts
 */
export async function repeatUntilAnswered<T>(options: RepeatOptions, call: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    options.signal.throwIfAborted();
    try {
      return await call();
    } catch (thrown) {
      options.signal.throwIfAborted();
      if (!isUnanswered(thrown)) throw thrown;
      if (attempt % logEvery === 0)
        options.log.warn({ call: options.what, attempt, err: thrown }, 'call not answered');
      await pause(backoffMs(attempt, backoff), options.signal);
    }
  }
}

/** Whether the same call may get an answer later. */
export function isUnanswered(thrown: unknown): boolean {
  return thrown instanceof CallFailed || (thrown instanceof CallRefused && thrown.status === 401);
}
