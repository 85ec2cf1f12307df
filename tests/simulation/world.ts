import { setMaxListeners } from 'node:events';
import { InvariantError } from '@computefabric/runtime/invariant';
import { DeadlockError, GatedDatabase, type Released } from './gated-database.ts';
import { findViolations, type Violation } from './invariants.ts';
import { Random } from './random.ts';
import { SimObjects } from './sim-objects.ts';
import type { SimDatabase } from './sim-database.ts';
import { readSnapshot, type Snapshot } from './snapshot.ts';
import { Trace } from './trace.ts';
import { context, type Life, newLife, quiesce, VirtualTime } from './virtual-time.ts';

/** How rough a run is: each seed draws its own, so that some are about one thing only. */
export interface Weather {
  /** Time may pass between two statements, at most this much at once, ms. */
  driftMs: number;
  /** Chance that a ready statement goes before a due event. */
  statementFirst: number;
  /** Chance per statement that its connection breaks before it, or after it. */
  cutBefore: number;
  cutAfter: number;
  /** Chance per message. */
  loseRequest: number;
  loseReply: number;
  repeatRequest: number;
  slowMessage: number;
  /** Mean virtual seconds between two faults of a process; 0 is none. */
  faultEverySeconds: number;
  /** Chance that an agent says what is not so about an end. */
  lie: number;
  /** Chance that a ghost of an earlier try speaks up after a message. */
  ghost: number;
  /** Mean virtual seconds between two wishes of a machine's owner; 0 is none. */
  wishEverySeconds: number;
}

export const calm: Weather = {
  driftMs: 0,
  statementFirst: 0.9,
  cutBefore: 0,
  cutAfter: 0,
  loseRequest: 0,
  loseReply: 0,
  repeatRequest: 0,
  slowMessage: 0,
  faultEverySeconds: 0,
  lie: 0,
  ghost: 0,
  wishEverySeconds: 0,
};

/** How the market of a run is set up. */
export interface Terms {
  leaseTtlSeconds: number;
  offerSeconds: number;
  heartbeatSeconds: number;
  /** What the workers' own naps are multiplied by: at 1 their sweeps hide much of what a lost signal does. */
  napFactor: number;
}

/** As the product has them, or shorter: more happens in less time. */
const asSold = { leaseTtlSeconds: 30, offerSeconds: 15, heartbeatSeconds: 10 };
const quick = { leaseTtlSeconds: 12, offerSeconds: 6, heartbeatSeconds: 4 };
function drawTerms(random: Random): Terms {
  const napFactor = random.pick([1, 4, 4, 8, 8, 8, 8, 8]);
  return { ...(random.chance(0.25) ? asSold : quick), napFactor };
}

/** What time alone breaks is seen within this, on the world's clock, also where nothing is written, ms. */
const longestUncheckedMs = 60_000;

/** A run that gets no further: more than any run needs. */
const mostSteps = 30_000;

/** What has gone wrong in a run; thrown through the scheduler to its caller. */
export class Found extends Error {
  readonly violation: Violation;

  constructor(violation: Violation) {
    super(`${violation.rule}: ${violation.detail}`);
    this.violation = violation;
  }
}

/**
 * The scheduler of one run. It alone decides what happens next: which statement of which task reaches the
 * database, or which timer, message or fault comes due; always from the seed. After every committed change
 * it reads the facts and holds them against the invariants.
 */
export class World {
  readonly random: Random;
  readonly time = new VirtualTime();
  readonly trace = new Trace();
  readonly objects = new SimObjects();
  readonly database: GatedDatabase;
  readonly #sim: SimDatabase;
  weather: Weather = calm;
  readonly terms: Terms;
  steps = 0;
  statements = 0;
  facts: Snapshot | null = null;
  databaseUp = true;
  /** What is done between two steps, by nobody's process: faults. */
  readonly needs: (() => Promise<void>)[] = [];
  /** Called with each signal that a transaction sent when it committed. */
  onSignal: (channel: string, payload: string) => void = () => {};
  #found: Violation | null = null;
  #tasks = 0;
  #checkedAtMs = 0;

  constructor(seed: number, sim: SimDatabase) {
    this.random = new Random(seed);
    this.#sim = sim;
    this.database = GatedDatabase.over(this.time, sim.clients, sim.monitor);
    this.terms = drawTerms(this.random);
    setMaxListeners(0);
  }

  /** The storm is over: no faults any more, and what is under way comes to its end. */
  get isCalm(): boolean {
    return this.weather === calm;
  }

  say(line: string): void {
    this.trace.add(`${(this.time.elapsedMs / 1_000).toFixed(3)} ${line}`);
  }

  /** Something that must not be; the run ends with it. The first one counts. */
  report(rule: string, detail: string): void {
    this.#found ??= { rule, detail: this.trace.readable(detail) };
  }

  /** Runs `work` as a task of a life. What it throws, unless its life has ended, is a fault of the simulation. */
  start(life: Life, name: string, work: () => Promise<void>): void {
    this.#tasks += 1;
    const task = `${life.name}/${name}.${this.#tasks}`;
    context.run({ life, task }, () => {
      work().catch((thrown: unknown) => {
        if (life.state !== 'dead') this.report('the simulation itself works', `${task}: ${textOf(thrown)}`);
      });
    });
  }

  newLife(name: string): Life {
    return newLife(name);
  }

  async kill(life: Life): Promise<void> {
    this.time.kill(life);
    await this.database.abandon(life);
    await this.#handle(this.database.collect());
  }

  /** The server goes away: what is open rolls back, and nobody gets a connection until it is back. */
  async stopDatabase(): Promise<void> {
    this.databaseUp = false;
    await this.database.breakAll(null);
    await this.#handle(this.database.collect());
  }

  /** Breaks the connections of one life. */
  async breakConnections(life: Life): Promise<void> {
    await this.database.breakAll(life);
    await this.#handle(this.database.collect());
  }

  /** Goes on until `done` says so after some step; throws `Found`. */
  async run(done: () => boolean): Promise<void> {
    for (;;) {
      await quiesce();
      if (this.#found) throw new Found(this.#found);
      const need = this.needs.shift();
      if (need) {
        await need();
        continue;
      }
      if (done()) return;
      if (this.time.elapsedMs - this.#checkedAtMs > longestUncheckedMs) await this.check();
      this.steps += 1;
      if (this.steps > mostSteps)
        throw new Found({ rule: 'the market comes to rest', detail: `${mostSteps} steps` });
      const ready = this.database.parked();
      const nextMs = this.time.untilNextMs();
      const statementFirst =
        ready.length > 0 &&
        (nextMs === null || nextMs > this.weather.driftMs || this.random.chance(this.weather.statementFirst));
      if (statementFirst) await this.#releaseOne(ready);
      else if (nextMs !== null) this.time.fireNext();
      else if (!this.database.busy)
        throw new Found({ rule: 'nothing waits without a timer', detail: 'all is still' });
      else
        throw new Found({
          rule: 'the market comes to rest',
          detail: 'statements wait, and nobody can go on',
        });
    }
  }

  /** Reads the facts and checks them, whatever has changed. */
  async check(): Promise<void> {
    this.#checkedAtMs = this.time.elapsedMs;
    const before = this.facts;
    const next = await readSnapshot(this.#sim.monitor);
    this.facts = next;
    for (const job of next.jobs) {
      const was = before?.jobs.find(({ id }) => id === job.id);
      if (was?.state !== job.state)
        this.say(`  ${job.id} ${was?.state ?? ''}→${job.state} ${job.reason ?? ''}`);
    }
    for (const lease of next.leases) {
      const was = before?.leases.find(({ id }) => id === lease.id);
      if (was?.state !== lease.state)
        this.say(
          `  ${lease.id} of ${lease.job} on ${lease.provider} ${was?.state ?? ''}→${lease.state} ${lease.reason ?? ''}`,
        );
    }
    const [first] = findViolations(next, before, { ...this.terms, nowMs: this.time.nowMs });
    if (first) this.report(first.rule, first.detail);
  }

  /** What a program's code threw at its caller. A broken promise of its own ends the run. */
  heard(life: Life, thrown: unknown): void {
    const broken = findInvariantError(thrown);
    if (broken) this.report('no program breaks its own invariants', `${life.name}: ${broken.message}`);
  }

  async #releaseOne(ready: ReturnType<GatedDatabase['parked']>): Promise<void> {
    const statement = this.random.pick(ready);
    this.statements += 1;
    const what = `${statement.task} ${shortForm(statement.text)}`;
    if (this.random.chance(this.weather.cutBefore)) {
      this.say(`${what} ✗ connection lost before`);
      await this.database.cut(statement);
      await this.#handle(this.database.collect());
      return;
    }
    this.say(what);
    try {
      await this.#handle(await this.database.release(statement));
    } catch (thrown) {
      if (!(thrown instanceof DeadlockError)) throw thrown;
      this.report('transactions never wait in a circle', thrown.message);
      return;
    }
    if (statement.state === 'blocked' && statement.outcome === null) this.say(`  waits for a lock`);
  }

  async #handle(released: readonly Released[]): Promise<void> {
    for (const one of released) {
      if (one.error) this.say(`  ${one.statement.task} failed: ${one.error.message.slice(0, 200)}`);
      if (one.committed?.signalled) await this.#takeSignals();
      if (one.committed?.wrote) await this.check();
      const lost = this.random.chance(this.weather.cutAfter);
      if (lost) this.say(`  ${one.statement.task} ✗ connection lost before the answer`);
      await this.database.deliver(one, lost);
    }
  }

  async #takeSignals(): Promise<void> {
    const { rows } = await this.#sim.monitor.query<{ channel: string; payload: string }>(
      'with taken as (delete from sim.signals returning *) select channel, payload from taken order by seq',
    );
    // What one transaction signals has no order: the server may gather ids by their hashes, and ids are random.
    // Their own order is that of their making.
    const signals = rows.map(({ channel, payload }) => ({
      channel,
      payload: payload.split(' ').toSorted(byText).join(' '),
    }));
    for (const { channel, payload } of signals.toSorted(
      (a, b) => byText(a.channel, b.channel) || byText(a.payload, b.payload),
    ))
      this.onSignal(channel, payload);
  }
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The verb and the table of a statement: enough to follow a trace. */
function shortForm(text: string): string {
  const table = /\b(?:from|into|update)\s+"?(\w+)"?/i.exec(text)?.[1] ?? '';
  const word = /^\s*(\w+)/.exec(text)?.[1] ?? '';
  return `${word} ${table}${/for update/i.test(text) ? ' for update' : ''}`.trim();
}

/** Drizzle wraps what the driver threw, and workers log what they caught. */
function findInvariantError(error: unknown): Error | null {
  for (let one = error, depth = 0; one instanceof Error && depth < 5; one = one.cause, depth += 1) {
    if (one instanceof InvariantError) return one;
  }
  return null;
}

export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
