/**
 * The latest answer of something slow, such as another program. A look never waits for it, but for the first one:
 * what is quick to see must not wait for what is not.
 */
export class InBackground<T> {
  readonly #read: () => Promise<T>;
  #last: { atMs: number; answer: T } | undefined;
  #reading: Promise<T> | undefined;

  /** @param read never rejects, and ends by itself in bounded time */
  constructor(read: () => Promise<T>) {
    this.#read = read;
  }

  /** @param freshMs an answer that is not older is not asked for again */
  async look(monotonicMs: number, freshMs: number): Promise<T> {
    const last = this.#last;
    if (last && monotonicMs - last.atMs < freshMs) return last.answer;
    this.#reading ??= this.#read().then((answer) => {
      this.#last = { atMs: monotonicMs, answer };
      this.#reading = undefined;
      return answer;
    });
    return last ? last.answer : await this.#reading;
  }
}
