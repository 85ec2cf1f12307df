/** Lets loops sleep until something happens. A ring while nobody sleeps is kept for the next sleeper. */
export class Bell {
  #rung = false;
  #waiters = new Set<() => void>();

  ring(): void {
    this.#rung = true;
    for (const wake of this.#waiters) wake();
  }

  /** Resolves at the next ring (or at once if it has rung since the last wait), after `ms`, or on abort. */
  wait(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#rung || signal?.aborted) {
        this.#rung = false;
        resolve();
        return;
      }
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        this.#waiters.delete(wake);
        this.#rung = false;
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal?.addEventListener('abort', wake, { once: true });
      this.#waiters.add(wake);
    });
  }
}
