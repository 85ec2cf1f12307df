/** The person pressed Ctrl-C, or closed the terminal. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** The part of `process` that is needed here. */
export interface SignalSource {
  on(signal: 'SIGINT' | 'SIGHUP', listener: () => void): unknown;
  exit(code: number): never;
}

/**
 * Two signals nearer than this, ms, are one: npm and npx pass a Ctrl-C on that the terminal has given to this
 * program already.
 */
const sameMs = 250;

/**
 * Ctrl-C and a closed terminal. A command that has something to say first calls `catch`; without that, and
 * for the second Ctrl-C in any case, the program leaves at once with 130.
 */
export class Interrupts {
  readonly #controller = new AbortController();
  #caught = false;
  #firstAt = 0;

  constructor(source: SignalSource) {
    const stop = () => {
      const again = this.#controller.signal.aborted;
      if (again && performance.now() - this.#firstAt < sameMs) return;
      if (again || !this.#caught) source.exit(130);
      this.#firstAt = performance.now();
      this.#controller.abort(new Interrupted('interrupted'));
    };
    source.on('SIGINT', stop);
    source.on('SIGHUP', stop);
  }

  /** From here on the first Ctrl-C aborts this signal instead of ending the program. */
  catch(): AbortSignal {
    this.#caught = true;
    return this.#controller.signal;
  }
}
