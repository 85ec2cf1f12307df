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
 * Ctrl-C and a closed terminal. A command that has something to say first calls `catch`; without that, and
 * for the second Ctrl-C in any case, the program leaves at once with 130.
 */
export class Interrupts {
  readonly #controller = new AbortController();
  #caught = false;

  constructor(source: SignalSource) {
    const stop = () => {
      if (!this.#caught || this.#controller.signal.aborted) source.exit(130);
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
