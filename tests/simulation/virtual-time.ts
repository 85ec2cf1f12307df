import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * One life of something that can stop: an orchestrator, an agent, a renter. Timers, statements and messages
 * belong to the life that made them: they are dropped when it ends and wait while it is frozen.
 */
export interface Life {
  readonly name: string;
  state: 'running' | 'frozen' | 'dead';
  /** What came due while frozen. */
  held: (() => void)[];
}

export function newLife(name: string): Life {
  return { name, state: 'running', held: [] };
}

/** Whose code is running, and in which task of it. Follows promises by itself. */
export const context = new AsyncLocalStorage<{ life: Life; task: string }>();

interface Timer {
  due: number;
  order: number;
  life: Life | null;
  run: () => void;
}

/** The programs' epoch in every run. */
const startMs = Date.UTC(2030, 0, 1);

const real = {
  setTimeout: globalThis.setTimeout,
  setImmediate: globalThis.setImmediate,
  Date: globalThis.Date,
};

/** On the clock of the wall: for waiting on the real database. */
export function realPause(ms: number): Promise<void> {
  return new Promise((resolve) => void real.setTimeout(resolve, ms));
}

export function realNow(): number {
  return real.Date.now();
}

/** Lets everything that can go on without time or database do so. */
export async function quiesce(): Promise<void> {
  // Two turns: a signal that is aborted in the first may wake somebody in the second.
  await new Promise((resolve) => void real.setImmediate(resolve));
  await new Promise((resolve) => void real.setImmediate(resolve));
}

/** The clock and the timers of a run. Time moves only when `fireNext` moves it. */
export class VirtualTime {
  /** Milliseconds since 1970, on the clock that every simulated program and the database read. */
  nowMs = startMs;
  #timers: Timer[] = [];
  #order = 0;

  /** Milliseconds since the run began. */
  get elapsedMs(): number {
    return this.nowMs - startMs;
  }

  /** Runs something later, as part of a life (null: of the world). Gives how to call it off. */
  after(ms: number, life: Life | null, run: () => void): () => void {
    const timer: Timer = {
      due: this.nowMs + Math.max(0, Math.ceil(Number.isFinite(ms) ? ms : 0)),
      order: this.#order++,
      life,
      run,
    };
    let index = this.#timers.length;
    while (index > 0) {
      const before = this.#timers[index - 1];
      if (!before || before.due <= timer.due) break;
      index -= 1;
    }
    this.#timers.splice(index, 0, timer);
    return () => {
      const at = this.#timers.indexOf(timer);
      if (at >= 0) this.#timers.splice(at, 1);
    };
  }

  /** Milliseconds until the next timer; null when nothing waits for time. */
  untilNextMs(): number | null {
    const next = this.#timers[0];
    return next ? Math.max(0, next.due - this.nowMs) : null;
  }

  timersOf(life: Life): number {
    return this.#timers.filter((timer) => timer.life === life).length + life.held.length;
  }

  /** Moves the clock to the next timer and runs it. */
  fireNext(): void {
    const timer = this.#timers.shift();
    if (!timer) return;
    this.nowMs = Math.max(this.nowMs, timer.due);
    if (timer.life?.state === 'dead') return;
    if (timer.life?.state === 'frozen') timer.life.held.push(timer.run);
    else timer.run();
  }

  kill(life: Life): void {
    life.state = 'dead';
    life.held = [];
    this.#timers = this.#timers.filter((timer) => timer.life !== life);
  }

  freeze(life: Life): void {
    if (life.state === 'running') life.state = 'frozen';
  }

  thaw(life: Life): void {
    if (life.state !== 'frozen') return;
    life.state = 'running';
    for (const run of life.held.splice(0)) this.after(0, life, run);
  }

  /** A wait of the code that is running; never over for a life that has ended. */
  sleep(ms: number): Promise<void> {
    const life = context.getStore()?.life ?? null;
    return new Promise((resolve) => void this.after(ms, life, resolve));
  }

  /**
   * Puts this clock in the place of the process's own, so that `setTimeout`, `Date`, `performance.now` and
   * `AbortSignal.timeout` in any code that is called from now on are those of the run; `Math.random` becomes the
   * seed's too. Gives the way back.
   *
   * @param stretch how long a wait of that task really takes, when it asks for `ms`
   */
  install(random: () => number, stretch: (task: string, ms: number) => number): () => void {
    const nowMs = () => this.nowMs;
    const elapsedMs = () => this.elapsedMs;
    const after = this.after.bind(this);
    const before = {
      setTimeout: globalThis.setTimeout,
      clearTimeout: globalThis.clearTimeout,
      setInterval: globalThis.setInterval,
      clearInterval: globalThis.clearInterval,
      Date: globalThis.Date,
      timeout: AbortSignal.timeout.bind(AbortSignal),
      performanceNow: performance.now.bind(performance),
      random: Math.random,
    };
    class VirtualDate extends real.Date {
      constructor(...args: [] | [number | string | Date]) {
        if (args.length === 0) super(nowMs());
        else super(...args);
      }
      static override now(): number {
        return nowMs();
      }
    }
    const start = (run: () => void, ms = 0, again = false) => {
      const store = context.getStore();
      const life = store?.life ?? null;
      const handle = {
        stop: () => {},
        ref: () => handle,
        unref: () => handle,
        hasRef: () => true,
        [Symbol.toPrimitive]: () => 0,
      };
      const lasts = store ? stretch(store.task, ms) : ms;
      const schedule = () => {
        handle.stop = after(lasts, life, () => {
          if (again) schedule();
          if (store) context.run(store, run);
          else run();
        });
      };
      schedule();
      return handle;
    };
    const stop = (handle: unknown) => {
      if (typeof handle === 'object' && handle !== null && 'stop' in handle) {
        if (typeof handle.stop === 'function') handle.stop();
      }
    };
    Object.assign(globalThis, {
      setTimeout: (run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) =>
        start(() => run(...args), ms),
      clearTimeout: stop,
      setInterval: (run: () => void, ms?: number) => start(run, ms, true),
      clearInterval: stop,
      Date: VirtualDate,
    });
    performance.now = elapsedMs;
    Math.random = random;
    AbortSignal.timeout = (ms) => {
      const over = new AbortController();
      start(() => over.abort(new DOMException('timed out', 'TimeoutError')), ms);
      return over.signal;
    };
    return () => {
      const { timeout, performanceNow, random: realRandom, ...globals } = before;
      Object.assign(globalThis, globals);
      performance.now = performanceNow;
      Math.random = realRandom;
      AbortSignal.timeout = timeout;
    };
  }
}
