import type { GpuId, JobId, LeaseId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { newId } from '@computefabric/protocol/ids';
import TinyQueue from 'tinyqueue';
import { ratePerHourMicros } from '../pricing/price.ts';
import { compileNeeds, failedFilters } from './filters.ts';
import { Fleet, type FleetMachine } from './fleet.ts';
import { ownerSets } from './gang-owners.ts';
import type { JobShape } from './job-shape.ts';
import type { JobNeeds, MachineView } from './machine-view.ts';
import { fittingGpus } from './machine-view.ts';
import { Demand } from './placement/demand.ts';
import { type Choice, Placer } from './placement/placer.ts';
import type { TaskShape } from './placement/task-shape.ts';
import { type Account, JobQueue, type Waiting } from './queue/job-queue.ts';
import type { QueuedJob, SavedState } from './queue/queued-job.ts';
import { earliestStart, evictionsFor, leavesRoom, type Reservation } from './reservation.ts';
import { expectedRateMicros } from './score.ts';

/** A proposal: the grant checks it again under lock before it becomes true. */
export interface Placement {
  jobId: JobId;
  leaseId: LeaseId;
  providerId: ProviderId;
  gpuIds: GpuId[];
  /** What the job needs; that of a job never changes. */
  needs: JobNeeds;
  /** Of its saved state so much is on the machine already; null when the machine has none of it. */
  savedState?: StateThere | null;
}

export interface StateThere {
  bytes: number;
  thereBytes: number;
}

/** Placements that become true together or not at all: one, or one for each rank of a gang. */
export type PlacementSet = readonly Placement[];

/** Spot tries that should give way so that an on-demand job can start. */
export interface Preemption {
  forJob: JobId;
  providerId: ProviderId;
  leaseIds: LeaseId[];
}

export interface Proposals {
  sets: PlacementSet[];
  preemptions: Preemption[];
  /** The limit was reached: there may be more to place. */
  more: boolean;
}

/** Jobs at the head of the line for which a place is kept. */
const keptHeads = 4;
/** A place once found for a head is believed for so long, ms; what ends earlier only makes it better. */
const reservationTtlMs = 1_000;
/** A job for which spot tries were told to stop asks for no more of them for so long, ms. */
const preemptionRestMs = 60_000;

/**
 * Places waiting jobs on machines. Holds the queue and the fleet in memory, both kept up to date by whoever
 * reads the database, and changes them by what it proposes. Pure apart from that: no clock, no SQL.
 *
 * Who is next: the account with the least of the market (dominant resource fairness: Ghodsi et al., NSDI
 * 2011), and of its jobs the first by priority and waiting time (`orderKey`). Where: the machine on which an
 * hour of finished work is expected to cost least, and of equally good ones that on which the job strands
 * the least GPU capacity (`placement/`). A job that fits nowhere now lets others pass, unless these would
 * take the place that is kept for the first in line.
 */
export class Matcher {
  readonly queue = new JobQueue();
  readonly fleet = new Fleet();
  readonly #demand = new Demand();
  readonly #placer = new Placer(this.fleet.cluster, this.#demand);
  readonly #kept = new Map<JobId, { place: Reservation | null; foundAtMs: number }>();
  readonly #preempted = new Map<JobId, number>();
  readonly #weighers = new WeakMap<JobShape, (label: number) => number | null>();
  /** First in line, and without a place: from the passes since something became free. */
  #heads: Waiting[] = [];

  /** A job waits; one that is known already is replaced. */
  enqueue(job: QueuedJob, nowMs: number): void {
    const isNew = !this.queue.has(job.id);
    const shape = this.queue.set(job, nowMs);
    if (isNew && shape) this.#demand.observe(shape.task(this.fleet.kinds));
  }

  /** What can be placed now, at most so many jobs. `nowMs` is that of a monotonic clock. */
  propose(limit: number, nowMs: number): Proposals {
    const order = new TinyQueue(
      [...this.queue.accounts.values()].map((account) => this.#standing(account)),
      inOrder,
    );
    const isGivenUp = (shape: JobShape) => shape.failedAt === this.fleet.growths;
    // Still first in line, and nothing has become free since they were.
    this.#heads = this.#heads.filter((head) => !head.gone && isGivenUp(head.shape));
    const heads = this.#heads;
    const proposals: Proposals = { sets: [], preemptions: [], more: false };
    let placed = 0;
    for (let next = order.pop(); next; next = order.pop()) {
      const entry = next.account.head(isGivenUp);
      if (!entry) continue;
      if (placed >= limit) {
        proposals.more = true;
        break;
      }
      const set = this.#place(entry, heads, nowMs);
      if (set) {
        this.queue.take(entry);
        for (const { jobId } of set) this.#kept.delete(jobId);
        proposals.sets.push(set);
        placed += set.length;
      } else {
        entry.shape.failedAt = this.fleet.growths;
        if (heads.length < keptHeads) heads.push(entry);
        const preemption = this.#preempt(entry, nowMs);
        if (preemption) proposals.preemptions.push(preemption);
      }
      order.push(this.#standing(next.account));
    }
    return proposals;
  }

  #standing(account: Account): Standing {
    const { gpuMilli, cpuMilli, memoryMib } = this.fleet.usageOf(account.userId);
    const { totals } = this.fleet;
    const share = Math.max(
      gpuMilli / Math.max(1, totals.gpuMilli),
      cpuMilli / Math.max(1, totals.cpuMilli),
      memoryMib / Math.max(1, totals.memoryMib),
    );
    return { account, share };
  }

  /** A place for each of the entry's jobs; null without one for all. Of a gang, only where `ownerSets` allows it. */
  #place(entry: Waiting, heads: readonly Waiting[], nowMs: number): PlacementSet | null {
    const { jobs, account, gangSpoiledBy } = entry;
    if (jobs.length === 1) return this.#placeAll(entry, null, heads, nowMs);
    for (const mayOwn of ownerSets({ renterId: account.userId, spoiledBy: gangSpoiledBy })) {
      const set = this.#placeAll(entry, mayOwn, heads, nowMs);
      if (set) return set;
    }
    return null;
  }

  /** Takes the places from the fleet; nothing is taken when there is not one for each job. */
  #placeAll(
    entry: Waiting,
    mayOwn: ((ownerId: UserId) => boolean) | null,
    heads: readonly Waiting[],
    nowMs: number,
  ): PlacementSet | null {
    const taken: { node: number; gpus: number[]; task: TaskShape }[] = [];
    const set: Placement[] = [];
    for (const job of entry.jobs) {
      const used = taken.length === 0 ? noNodes : new Set(taken.map(({ node }) => node));
      const choice = this.#choose(entry.shape, job, { used, mayOwn }, heads, nowMs);
      if (!choice) {
        for (const { node, gpus, task } of taken.reverse()) this.fleet.undo(node, task, gpus);
        return null;
      }
      const leaseId = newId('lease');
      const { cpuMilli, memoryMib, diskMib, gpuMilli } = job.needs;
      const gpuIds = this.fleet.take(choice.node, choice.task, choice.gpus, {
        id: leaseId,
        jobId: job.id,
        userId: job.userId,
        gpuMilli,
        cpuMilli,
        memoryMib,
        diskMib,
        spot: job.needs.class === 'spot',
        stopping: false,
        endsInMs: nowMs - this.fleet.at(choice.node).seenAtMs + job.needs.timeLimitSeconds * 1_000,
      });
      taken.push(choice);
      const providerId = this.fleet.at(choice.node).id;
      set.push({
        jobId: job.id,
        leaseId,
        providerId,
        gpuIds,
        needs: job.needs,
        savedState: stateOn(job.savedState, providerId),
      });
    }
    return set;
  }

  #choose(
    shape: JobShape,
    job: QueuedJob,
    { used, mayOwn }: { used: ReadonlySet<number>; mayOwn: ((ownerId: UserId) => boolean) | null },
    heads: readonly Waiting[],
    nowMs: number,
  ): { node: number; gpus: number[]; task: TaskShape } | null {
    const task = shape.task(this.fleet.kinds);
    const weigh = this.#weigherFor(shape, job);
    const avoid = job.avoid === null ? undefined : this.fleet.find(job.avoid)?.node;
    const excluded = new Set(used);
    if (avoid !== undefined) excluded.add(avoid);
    const isOwnedRight = (node: number) => mayOwn === null || mayOwn(this.fleet.at(node).ownerId);
    // What no label tells is asked of the very machine; one that fails is left out, and the next best is looked at.
    for (;;) {
      const choice = this.#placer.best(
        task,
        weigh,
        excluded.size > 0 || mayOwn ? (node) => !excluded.has(node) && isOwnedRight(node) : undefined,
      );
      if (!choice) {
        // The machine that spoiled the last try is better than none.
        if (avoid === undefined || used.has(avoid) || !excluded.delete(avoid)) return null;
        const again = this.#placer.best(task, weigh, (node) => node === avoid && isOwnedRight(node));
        return again && this.#allows(again, job, heads, nowMs) ? { ...again, task } : null;
      }
      if (this.#allows(choice, job, heads, nowMs)) {
        const mayTake = (node: number) => !excluded.has(node) && isOwnedRight(node);
        return { ...this.#withState(choice, task, shape, job, mayTake, heads, nowMs), task };
      }
      excluded.add(choice.node);
    }
  }

  /**
   * The place found, or a machine on which the job's state lies already, where fetching less is worth what else
   * speaks against that one.
   */
  #withState(
    found: Choice,
    task: TaskShape,
    shape: JobShape,
    job: QueuedJob,
    mayTake: (node: number) => boolean,
    heads: readonly Waiting[],
    nowMs: number,
  ): Choice {
    let best = found;
    for (const { providerId, bytes } of job.savedState?.on ?? []) {
      const node = this.fleet.find(providerId)?.node ?? -1;
      if (node < 0 || !mayTake(node)) continue;
      const { label } = this.fleet.cluster.stateOf(node);
      const weight = shape.weigh(label, this.fleet.labels[label], bytesToFetch(job.savedState, bytes));
      const there = this.#placer.best(
        task,
        (each) => (each === label ? weight : null),
        (each) => each === node,
      );
      if (there && there.weightedMilli <= best.weightedMilli && this.#allows(there, job, heads, nowMs))
        best = there;
    }
    return best;
  }

  /** Of a job whose state lies on some machines: as if it had to be fetched, which holds for all others. */
  #weigherFor(shape: JobShape, job: QueuedJob): (label: number) => number | null {
    const fetchBytes = bytesToFetch(job.savedState, 0);
    if (fetchBytes === 0) return this.#weigherOf(shape);
    const weights: (number | null | undefined)[] = [];
    return (label) => {
      const known = weights[label];
      if (known !== undefined) return known;
      const weight = shape.weigh(label, this.fleet.labels[label], fetchBytes);
      weights[label] = weight;
      return weight;
    };
  }

  /** One for each shape, not for each job: they are asked for every state of every machine. */
  #weigherOf(shape: JobShape): (label: number) => number | null {
    const known = this.#weighers.get(shape);
    if (known) return known;
    const weigh = (label: number) => shape.weigh(label, this.fleet.labels[label]);
    this.#weighers.set(shape, weigh);
    return weigh;
  }

  /** The rules of the moment, and the places that are kept for others. */
  #allows(
    choice: { node: number; gpus: number[] },
    job: QueuedJob,
    heads: readonly Waiting[],
    nowMs: number,
  ): boolean {
    const machine = this.fleet.at(choice.node);
    if (machine.diskMibFree < job.needs.diskMib) return false;
    // A label knows a record in steps only.
    if (machine.reliabilityMilli < job.needs.minReliabilityMilli) return false;
    const { stayMs } = compileNeeds(job.needs);
    if (machine.awayInMs !== null && machine.awayInMs - (nowMs - machine.seenAtMs) < stayMs) return false;
    if (heads.length === 0) return true;
    const gpuIds = choice.gpus.map((index) => machine.gpus[index]?.id).filter((id) => id !== undefined);
    return heads.every((head) => {
      const place = this.#placeKeptFor(head, nowMs);
      return place?.machine.id !== machine.id || leavesRoom(place, job.needs, gpuIds);
    });
  }

  /** Where a job at the head of the line will start; found anew when it is old. Gangs have none. */
  #placeKeptFor(head: Waiting, nowMs: number): Reservation | null {
    const [job] = head.jobs;
    if (!job || head.jobs.length > 1) return null;
    const known = this.#kept.get(job.id);
    const isFresh =
      known &&
      nowMs - known.foundAtMs < reservationTtlMs &&
      known.place?.machine === this.#current(known.place);
    if (isFresh) return known.place;
    let best: Reservation | null = null;
    for (const machine of this.#candidates(head.shape)) {
      const place = earliestStart(machine, job.needs, nowMs);
      if (place && (!best || place.inMs < best.inMs)) best = place;
    }
    // There is room, and it only lets somebody else pass: a place kept for it too would stop everybody.
    if (best?.inMs === 0) best = null;
    this.#kept.set(job.id, { place: best, foundAtMs: nowMs });
    if (this.#kept.size > 4 * keptHeads) this.#dropOldest();
    return best;
  }

  #current(place: Reservation | null): FleetMachine | undefined {
    return place ? this.fleet.find(place.machine.id) : undefined;
  }

  #dropOldest(): void {
    const [oldest] = this.#kept.keys();
    if (oldest) this.#kept.delete(oldest);
  }

  /** Whom to ask to give way for an on-demand job that fits nowhere now. */
  #preempt(entry: Waiting, nowMs: number): Preemption | null {
    const [job] = entry.jobs;
    if (!job || entry.jobs.length > 1 || job.needs.class === 'spot' || this.fleet.evictable === 0)
      return null;
    const askedAtMs = this.#preempted.get(job.id);
    if (askedAtMs !== undefined && nowMs - askedAtMs < preemptionRestMs) return null;
    let best: { machine: FleetMachine; leaseIds: LeaseId[] } | null = null;
    for (const machine of this.#candidates(entry.shape)) {
      const leaseIds = evictionsFor(machine, job.needs, nowMs);
      if (!leaseIds || (best && leaseIds.length >= best.leaseIds.length)) continue;
      best = { machine, leaseIds };
      if (leaseIds.length <= 1) break;
    }
    if (!best) return null;
    this.#preempted.set(job.id, nowMs);
    for (const [id, atMs] of this.#preempted)
      if (nowMs - atMs >= preemptionRestMs) this.#preempted.delete(id);
    // Nothing to stop: what is stopping already makes room.
    if (best.leaseIds.length === 0) return null;
    return { forJob: job.id, providerId: best.machine.id, leaseIds: best.leaseIds };
  }

  *#candidates(shape: JobShape): Iterable<FleetMachine> {
    for (const machine of this.fleet.machines()) {
      if (machine.node < 0) continue;
      const { label } = this.fleet.cluster.stateOf(machine.node);
      if (shape.weigh(label, this.fleet.labels[label]) !== null) yield machine;
    }
  }
}

const noNodes: ReadonlySet<number> = new Set();

function stateOn(state: SavedState | null, providerId: ProviderId): StateThere | null {
  const there = state?.on.find((each) => each.providerId === providerId);
  return state && there ? { bytes: state.bytes, thereBytes: there.bytes } : null;
}

function bytesToFetch(state: SavedState | null, thereBytes: number): number {
  return state ? Math.max(0, state.bytes - thereBytes) : 0;
}

interface Standing {
  account: Account;
  share: number;
}

function inOrder(a: Standing, b: Standing): number {
  return a.share - b.share || (a.account.userId < b.account.userId ? -1 : 1);
}

/** The machines that could start a job now, best first: the order in which offers are shown. */
export function rank<M extends MachineView>(
  needs: JobNeeds,
  machines: readonly M[],
  image: string | null = null,
): M[] {
  const key = (machine: M): readonly number[] => [
    expectedRateMicros(needs, image, machine),
    Number(ratePerHourMicros(needs, machine)),
    needs.gpus > 0 ? Math.min(...fittingGpus(machine, needs).map((gpu) => gpu.memoryMib)) : 0,
  ];
  return machines
    .filter((machine) => failedFilters(machine, needs).length === 0)
    .map((machine) => ({ machine, key: key(machine) }))
    .sort((a, b) => compareKeys(a.key, b.key) || (a.machine.id < b.machine.id ? -1 : 1))
    .map(({ machine }) => machine);
}

function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (const [index, left] of a.entries()) {
    const difference = left - (b[index] ?? left);
    if (difference !== 0) return difference;
  }
  return 0;
}
