import type { Db } from '@computefabric/db/client';
import { type JobId, jobId, type ProviderId, providerId } from '@computefabric/protocol/ids';
import type { Logger } from '@computefabric/runtime/log';
import { type KnownCards, loadMachines } from '../matching/market.store.ts';
import { Matcher, type PlacementSet, type Preemption } from '../matching/match.ts';
import { KnownNeeds, loadQueuedJobs, pageQueuedJobs } from '../matching/queued-jobs.store.ts';
import { grantLeases } from './grant-leases.ts';
import type { LeaseSettings } from './lease-deps.ts';
import { preemptLease } from './preempt-lease.ts';

/** Jobs placed in one transaction at most: enough that its fsync costs nothing, few enough that it ends soon. */
const groupSize = 1_000;
/** Groups that are being committed while the next one is worked out. */
const groupsUnderWay = 2;
/** Groups in one pass, so that a pass ends. */
const groupsPerPass = 64;
/** Rows read at once when the whole queue is read. */
const pageSize = 10_000;
/** Jobs held in memory; those beyond stay in the database until there is room. About 400 bytes each. */
const mostJobs = 1_500_000;
/** Everything is read anew so often, ms, for each 10,000 jobs that wait: nothing hangs on a lost signal. */
const reloadEveryMs = 60_000;

export interface MatchPass {
  granted: number;
  stale: number;
  preempted: number;
  /** When the back-off of a job, or of a machine that some job may want, ends, ms; null when none rests. */
  nextMs: number | null;
}

/**
 * The matcher of a market at work: keeps its view in step with the database by the change feed (`cf_queue`),
 * and makes its proposals true in groups. While groups are committed the next one is worked out, so groups form
 * by themselves and nothing ever waits for one to fill.
 *
 * The database stays the truth: a proposal on an old view is refused by the grant, and what it was about is
 * read again.
 */
export class MarketMatcher {
  readonly #db: Db;
  readonly #log: Logger;
  readonly #settings: LeaseSettings;
  readonly #clock: () => number;
  readonly #matcher = new Matcher();
  readonly #jobs = new Set<JobId>();
  readonly #machines = new Set<ProviderId>();
  readonly #knownNeeds = new KnownNeeds();
  #knownCards: KnownCards = new Map();
  /** Rings when a line of the change feed has come. */
  #news = newBell();
  #reload = true;
  #reloadedAtMs = 0;
  /** There are more jobs in the database than fitted into memory. */
  #truncated = false;

  /** @param clock monotonic milliseconds */
  constructor(
    { db, log, settings }: { db: Db; log: Logger; settings: LeaseSettings },
    clock: () => number = () => performance.now(),
  ) {
    this.#db = db;
    this.#log = log;
    this.#settings = settings;
    this.#clock = clock;
  }

  /** Jobs that wait in memory. */
  get waiting(): number {
    return this.#matcher.queue.size;
  }

  /** A line of the change feed: this job or machine is to be read again; everything, when it names none. */
  noteChange(id: string): void {
    const job = jobId.safeParse(id);
    const machine = providerId.safeParse(id);
    if (job.success) this.#jobs.add(job.data);
    else if (machine.success) this.#machines.add(machine.data);
    else this.#reload = true;
    this.#news.ring();
  }

  /** A job is final; it may have waited until then. */
  noteEnd(id: string): void {
    const job = jobId.safeParse(id);
    if (job.success) this.#matcher.queue.remove(job.data);
  }

  /** Places what can be placed now, and what comes while that is being committed. */
  async pass(): Promise<MatchPass> {
    const pass: MatchPass = { granted: 0, stale: 0, preempted: 0, nextMs: null };
    const underWay = new Set<Group>();
    this.#matcher.queue.wakeRested(this.#clock());
    for (const id of this.#matcher.fleet.takeRested(this.#clock())) this.#machines.add(id);
    try {
      for (let group = 0; group < groupsPerPass; group += 1) {
        this.#news = newBell();
        await this.#refresh([...underWay].flatMap(({ sets }) => sets));
        const { sets, preemptions, more } = this.#matcher.propose(groupSize, this.#clock());
        if (underWay.size >= groupsUnderWay) await oneOf(underWay);
        if (sets.length > 0) {
          const started: Group = {
            sets,
            done: this.#grant(sets, pass).then(() => void underWay.delete(started)),
          };
          // One that failed stays, so that it is heard of when its turn comes, whatever is being waited for now;
          // until then it must not count as unhandled.
          started.done.catch(() => undefined);
          underWay.add(started);
        }
        pass.preempted += await this.#preempt(preemptions);
        if (more) continue;
        // Whoever comes now does not wait for those before to be written, only for a free place among them.
        while (underWay.size > 0 && !this.#news.hasRung) await oneOf(underWay, this.#news.rung);
        // An old view is not looked at again and again: that is for the next pass, after a rest.
        if (!this.#news.hasRung || pass.stale > 0) break;
      }
      for (const { done } of underWay) await done;
    } finally {
      // Also after a failure nothing is under way when the next pass begins.
      await Promise.allSettled([...underWay].map(({ done }) => done));
    }
    // Only asked for here: whoever comes back now would wait for the next signal, which may be long in coming.
    pass.nextMs = earlier(
      this.#matcher.queue.nextRestEndMs(this.#clock()),
      this.#matcher.queue.size > 0 ? this.#matcher.fleet.nextRestEndMs(this.#clock()) : null,
    );
    return pass;
  }

  async #grant(sets: readonly PlacementSet[], pass: MatchPass): Promise<void> {
    let results: Awaited<ReturnType<typeof grantLeases>>;
    try {
      results = await grantLeases(this.#db, this.#settings, sets);
    } catch (thrown) {
      for (const set of sets) this.#noteSet(set);
      throw thrown;
    }
    for (const [index, result] of results.entries()) {
      const set = sets[index] ?? [];
      if (result === 'granted') {
        pass.granted += set.length;
        continue;
      }
      pass.stale += set.length;
      this.#noteSet(set);
    }
  }

  /** What a set was about has turned out otherwise. */
  #noteSet(set: PlacementSet): void {
    for (const placement of set) {
      this.#jobs.add(placement.jobId);
      this.#machines.add(placement.providerId);
    }
  }

  async #preempt(preemptions: readonly Preemption[]): Promise<number> {
    let stopped = 0;
    for (const { forJob, providerId: machine, leaseIds } of preemptions) {
      for (const leaseId of leaseIds) {
        const outcome = await this.#db.transaction((tx) =>
          preemptLease(tx, this.#settings, { leaseId, by: forJob }),
        );
        if (outcome !== 'no') stopped += 1;
      }
      this.#machines.add(machine);
      this.#log.info(
        { job_id: forJob, provider_id: machine, leases: leaseIds.length },
        'preempting spot tries',
      );
    }
    return stopped;
  }

  /**
   * Reads again what has changed, apart from what a grant that is under way is about to change: whether its
   * effect is in what is read could not be told.
   */
  async #refresh(inFlight: readonly PlacementSet[]): Promise<void> {
    const nowMs = this.#clock();
    const due = reloadEveryMs * Math.max(1, this.#matcher.queue.size / 10_000);
    const starved = this.#truncated && this.#matcher.queue.size < mostJobs / 2;
    if (this.#reload || starved || nowMs - this.#reloadedAtMs > due) {
      if (inFlight.length === 0) return await this.#reloadAll();
      this.#reload = true; // once nothing is under way
      return;
    }
    const busyJobs = new Set(inFlight.flatMap((set) => set.map((placement) => placement.jobId)));
    const busyMachines = new Set(inFlight.flatMap((set) => set.map((placement) => placement.providerId)));
    const jobs = takeOthers(this.#jobs, busyJobs);
    const machines = takeOthers(this.#machines, busyMachines);
    if (jobs.length === 0 && machines.length === 0) return;
    try {
      const [rows, views] = await Promise.all([
        loadQueuedJobs(this.#db, jobs, this.#knownNeeds),
        loadMachines(this.#db, machines, this.#knownCards),
      ]);
      const now = this.#clock();
      const there = new Set(rows.map(({ id }) => id));
      for (const id of jobs) if (!there.has(id)) this.#matcher.queue.remove(id);
      for (const row of rows) this.#matcher.enqueue(row, now);
      const known = new Set(views.map(({ id }) => id));
      for (const id of machines) if (!known.has(id)) this.#matcher.fleet.remove(id);
      for (const view of views) this.#matcher.fleet.set(view, now);
    } catch (thrown) {
      for (const id of jobs) this.#jobs.add(id);
      for (const id of machines) this.#machines.add(id);
      throw thrown;
    }
  }

  async #reloadAll(): Promise<void> {
    // Signals that come from here on are heeded: what they are about may have been read already.
    this.#reload = false;
    this.#jobs.clear();
    this.#machines.clear();
    try {
      await this.#readAll();
    } catch (thrown) {
      this.#reload = true;
      throw thrown;
    }
    this.#reloadedAtMs = this.#clock();
  }

  async #readAll(): Promise<void> {
    this.#knownCards = new Map();
    const views = await loadMachines(this.#db, undefined, this.#knownCards);
    const { fleet, queue } = this.#matcher;
    const known = new Set(views.map(({ id }) => id));
    for (const { id } of Array.from(fleet.machines())) if (!known.has(id)) fleet.remove(id);
    for (const view of views) fleet.set(view, this.#clock());
    const there = new Set<JobId>();
    let after: JobId | null = null;
    for (;;) {
      const page = await pageQueuedJobs(this.#db, after, pageSize, this.#knownNeeds);
      for (const job of page) {
        there.add(job.id);
        this.#matcher.enqueue(job, this.#clock());
      }
      after = page.at(-1)?.id ?? null;
      this.#truncated = there.size >= mostJobs;
      if (page.length < pageSize || this.#truncated) break;
    }
    for (const id of Array.from(queue.ids())) if (!there.has(id)) queue.remove(id);
  }
}

function earlier(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b);
}

/** Proposals whose transaction is under way. */
interface Group {
  sets: readonly PlacementSet[];
  done: Promise<void>;
}

/** Until one of the groups has ended, or the other thing has happened. */
async function oneOf(groups: ReadonlySet<Group>, or?: Promise<void>): Promise<void> {
  await Promise.race([...[...groups].map(({ done }) => done), ...(or ? [or] : [])]);
}

/** Rings once. */
interface Bell {
  hasRung: boolean;
  rung: Promise<void>;
  ring: () => void;
}

function newBell(): Bell {
  let resolve = () => {};
  const bell: Bell = {
    hasRung: false,
    rung: new Promise((done) => {
      resolve = done;
    }),
    ring: () => {
      bell.hasRung = true;
      resolve();
    },
  };
  return bell;
}

/** Empties a set apart from what is busy. */
function takeOthers<T>(set: Set<T>, busy: ReadonlySet<T>): T[] {
  const taken = [...set].filter((each) => !busy.has(each));
  for (const each of taken) set.delete(each);
  return taken;
}
