import { invariant } from '@computefabric/runtime/invariant';

interface Call<In, Out> {
  input: In;
  resolve: (output: Out) => void;
  reject: (reason: unknown) => void;
}

/** Questions that wait for an answer at the same time; more are refused instead of piling up. */
const mostWaiting = 100_000;

/**
 * Answers many calls with few questions. A call that comes alone is asked at once; those that come while an
 * answer is on its way are asked together as the next one. So there is no window to wait for, and the more
 * there is to do the less each costs.
 *
 * A question that fails fails all calls in it.
 */
export class Coalescer<In, Out> {
  readonly #ask: (inputs: In[]) => Promise<readonly Out[]>;
  readonly #most: number;
  #waiting: Call<In, Out>[] = [];
  #isAsking = false;

  /**
   * @param ask gives an answer for each input, in the same order
   * @param most inputs in one question
   */
  constructor(ask: (inputs: In[]) => Promise<readonly Out[]>, most = 500) {
    this.#ask = ask;
    this.#most = most;
  }

  call(input: In): Promise<Out> {
    invariant(this.#waiting.length < mostWaiting, 'no more calls wait than can be answered');
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject });
      if (!this.#isAsking) void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#isAsking = true;
    // What else arrives in this turn of the event loop is part of the first question: each request is a callback
    // of its own, and a resolved promise would not wait for the next of them.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const calls = this.#waiting.splice(0, this.#most);
      try {
        const answers = await this.#ask(calls.map(({ input }) => input));
        invariant(answers.length === calls.length, 'every call has an answer');
        for (const [index, { resolve }] of calls.entries()) resolve(answers[index] as Out);
      } catch (thrown) {
        for (const { reject } of calls) reject(thrown);
      }
    }
    this.#isAsking = false;
  }
}
