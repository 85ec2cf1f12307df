import type { GroupId, JobId, UserId } from '@computefabric/protocol/ids';
import { JobShape, jobShapeKey } from '../job-shape.ts';
import { Lane } from './lane.ts';
import { orderKey, type QueuedJob } from './queued-job.ts';

/** What is placed at once: one job, or all ranks of a gang. */
export interface Waiting {
  jobs: QueuedJob[];
  shape: JobShape;
  account: Account;
  key: number;
  /** Owners whose machines spoiled a rank of this gang before; empty for single jobs. */
  gangSpoiledBy: readonly UserId[];
  /** It has left the queue; lanes drop it when they come to it. */
  gone: boolean;
}

/** An account's waiting jobs: a lane for each shape, in order. */
export class Account {
  readonly userId: UserId;
  readonly lanes = new Map<JobShape, Lane<Waiting>>();
  waiting = 0;

  constructor(userId: UserId) {
    this.userId = userId;
  }

  /** The first in order of those whose shape is not given up for now. */
  head(isGivenUp: (shape: JobShape) => boolean): Waiting | null {
    let best: Waiting | null = null;
    for (const [shape, lane] of this.lanes) {
      if (isGivenUp(shape)) continue;
      const first = lane.head();
      if (first && (!best || first.key < best.key)) best = first;
    }
    return best;
  }
}

/** The jobs that wait, in memory, by account and shape. Knows nothing of machines. */
export class JobQueue {
  readonly accounts = new Map<UserId, Account>();
  readonly #entries = new Map<JobId, Waiting>();
  readonly #shapes = new Map<string, { shape: JobShape; jobs: number }>();
  readonly #gangs = new Map<GroupId, QueuedJob[]>();
  readonly #resting = new Map<JobId, { job: QueuedJob; untilMs: number }>();

  /** Jobs in the queue, those of incomplete gangs and in back-off among them. */
  get size(): number {
    return this.#entries.size + this.#resting.size + [...this.#gangs.values()].flat().length;
  }

  get shapeCount(): number {
    return this.#shapes.size;
  }

  has(id: JobId): boolean {
    return this.#entries.has(id) || this.#resting.has(id);
  }

  /** Every job that is known here. */
  *ids(): Iterable<JobId> {
    yield* this.#entries.keys();
    yield* this.#resting.keys();
    for (const ranks of this.#gangs.values()) for (const { id } of ranks) yield id;
  }

  /**
   * Puts a job into the queue, or what is newly known of one that is there. `nowMs` is monotonic.
   *
   * @returns its shape; null while it rests or waits for the other ranks of its gang
   */
  set(job: QueuedJob, nowMs: number): JobShape | null {
    this.remove(job.id);
    if (job.backoffMs > 0) {
      this.#resting.set(job.id, { job, untilMs: nowMs + job.backoffMs });
      return null;
    }
    if (!job.gang) return this.#enter([job], job);
    const ranks = this.#gangs.get(job.gang.groupId) ?? [];
    ranks.push(job);
    this.#gangs.set(job.gang.groupId, ranks);
    if (ranks.length < job.gang.size) return null;
    this.#gangs.delete(job.gang.groupId);
    return this.#enter(ranks, job);
  }

  /** Takes a job out, and the other ranks of its gang back to waiting for it. */
  remove(id: JobId): void {
    this.#resting.delete(id);
    const entry = this.#entries.get(id);
    if (!entry) {
      this.#leaveGang(id);
      return;
    }
    this.take(entry);
    const rest = entry.jobs.filter((job) => job.id !== id);
    const gang = rest[0]?.gang;
    if (gang) this.#gangs.set(gang.groupId, rest);
  }

  /** Takes an entry out whole: it has been placed. */
  take(entry: Waiting): void {
    if (entry.gone) return;
    entry.gone = true;
    for (const job of entry.jobs) this.#entries.delete(job.id);
    const { account, shape } = entry;
    account.waiting -= 1;
    const lane = account.lanes.get(shape);
    lane?.left();
    if (lane?.size === 0) account.lanes.delete(shape);
    if (account.waiting === 0) this.accounts.delete(account.userId);
    const counted = this.#shapes.get(shape.key);
    if (!counted) return;
    counted.jobs -= 1;
    if (counted.jobs === 0) this.#shapes.delete(shape.key);
  }

  /** Brings back whose back-off has ended. Milliseconds until the next one's ends; null when none rests. */
  wakeRested(nowMs: number): number | null {
    let nextMs: number | null = null;
    for (const [id, { job, untilMs }] of this.#resting) {
      if (untilMs <= nowMs) {
        this.#resting.delete(id);
        this.set({ ...job, backoffMs: 0 }, nowMs);
      } else nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, untilMs - nowMs);
    }
    return nextMs;
  }

  /** Milliseconds until the next back-off ends, 0 when one has ended; null when none rests. Moves nothing. */
  nextRestEndMs(nowMs: number): number | null {
    let nextMs: number | null = null;
    for (const { untilMs } of this.#resting.values())
      nextMs = Math.min(nextMs ?? Number.POSITIVE_INFINITY, Math.max(0, untilMs - nowMs));
    return nextMs;
  }

  #enter(jobs: QueuedJob[], first: QueuedJob): JobShape {
    const gangSpoiledBy = first.gang ? spoilersOf(jobs) : nobody;
    const shape = this.#shapeOf(first, gangSpoiledBy);
    let account = this.accounts.get(first.userId);
    if (!account) {
      account = new Account(first.userId);
      this.accounts.set(first.userId, account);
    }
    let lane = account.lanes.get(shape);
    if (!lane) {
      lane = new Lane();
      account.lanes.set(shape, lane);
    }
    const key = jobs.length === 1 ? orderKey(first) : Math.min(...jobs.map(orderKey));
    const entry = { jobs, shape, account, key, gangSpoiledBy, gone: false };
    lane.add(entry);
    account.waiting += 1;
    for (const job of jobs) {
      job.needs = shape.needs; // one object for all of a shape: a million jobs wait in memory
      this.#entries.set(job.id, entry);
    }
    return shape;
  }

  #shapeOf(job: QueuedJob, gangSpoiledBy: readonly UserId[]): JobShape {
    // Where there is room for a gang depends on whose it is, and on who spoiled it.
    const gang = job.gang && { size: job.gang.size, renterId: job.userId, spoiledBy: gangSpoiledBy };
    const key = jobShapeKey(job.needs, job.image, gang);
    const known = this.#shapes.get(key);
    if (known) {
      known.jobs += 1;
      return known.shape;
    }
    const shape = new JobShape(key, job.needs, job.image);
    this.#shapes.set(key, { shape, jobs: 1 });
    return shape;
  }

  #leaveGang(id: JobId): void {
    for (const [groupId, ranks] of this.#gangs) {
      const rest = ranks.filter((job) => job.id !== id);
      if (rest.length === ranks.length) continue;
      if (rest.length === 0) this.#gangs.delete(groupId);
      else this.#gangs.set(groupId, rest);
      return;
    }
  }
}

const nobody: readonly UserId[] = [];

function spoilersOf(ranks: readonly QueuedJob[]): UserId[] {
  return [...new Set(ranks.flatMap(({ gang }) => gang?.spoiledBy ?? []))].toSorted();
}
