import type { Cluster, NodeState } from './cluster.ts';
import type { TaskClass } from './demand.ts';
import { milliPerGpu, type TaskShape, totalGpuMilli, wholeGpuMilli } from './task-shape.ts';

/** Prices below this change no decision and are taken as none. */
const leastPrice = 1e-4;

/** Shapes of tasks with several GPUs beyond so many, and sets of kinds beyond so many, are not protected. */
const maxGroups = 64;

/** Tasks that are hard to place for the same reason. */
export interface Group {
  /** What every task of the group needs at once on one node; null for a group that insists on kinds of GPU. */
  slot: TaskShape | null;
  accepts: Uint8Array | null;
  /** What the group takes beside a thousandth of a GPU, on average. */
  cpuPerMilli: number;
  memoryPerMilli: number;
  /** Per arrival of any task: the mean, and the mean square, of what tasks of this group take. */
  gpuMilli: number;
  gpuMilliSquared: number;
  /** Thousandths of GPU that tasks of this group could have on all nodes now. */
  supplyMilli: number;
  /** What a thousandth less of the supply costs, from 0 (plenty) to 1 (all of it is needed). */
  price: number;
}

/**
 * Keeps room for what is hard to place: whole nodes for tasks with many GPUs, and rare kinds of GPU, with CPU
 * beside them, for tasks that accept nothing else. Not by reserving, but by a price: the probability that the
 * tasks to come until the cluster is full will need more of it than is left. With plenty left it is 0, and
 * nothing is kept idle for a task that will find its place anyway; when the supply comes near what is still
 * expected, it rises to 1.
 */
export class Protection {
  readonly #cluster: Cluster;
  readonly #groups: Group[];
  readonly #taskGpuMilli: number;
  #active: Group[] = [];
  /** By kind number: the highest price of a group that insists on this kind. */
  #kindPrices = new Float64Array(0);

  constructor(cluster: Cluster, classes: readonly TaskClass[]) {
    this.#cluster = cluster;
    this.#taskGpuMilli = classes.reduce((sum, task) => sum + task.popularity * totalGpuMilli(task), 0);
    const ofGpus = classes
      .filter((task) => task.gpuCount > 0)
      .map((task) => ({ task, accepts: acceptedKinds(cluster, task.kinds) }));
    // A slot is also taken by tasks that are still harder to place, so these count as demand for it.
    const slots = ofGpus
      .filter(({ task }) => task.gpuCount > 1)
      .map(({ task, accepts }) => {
        const isAsHard = (other: (typeof ofGpus)[number]) =>
          other.task.gpuCount >= task.gpuCount &&
          other.task.cpuMilli >= task.cpuMilli &&
          isWithin(other.accepts, accepts);
        return groupOf(ofGpus.filter(isAsHard), accepts, task);
      });
    const sets = new Map(ofGpus.flatMap(({ accepts }) => (accepts ? [[accepts.join(), accepts]] : [])));
    const kinds = [...sets.values()].map((accepts) =>
      groupOf(
        ofGpus.filter((other) => isWithin(other.accepts, accepts)),
        accepts,
        null,
      ),
    );
    this.#groups = [...slots.slice(0, maxGroups), ...kinds.slice(0, maxGroups)];
    for (const state of cluster.states) this.#count(state, state.nodes.length);
  }

  /** Keeps the supply up to date; to be called for every node that changes its state. */
  moved(from: NodeState | null, to: NodeState | null): void {
    if (from) this.#count(from, -1);
    if (to) this.#count(to, 1);
  }

  /** Sets the prices for a decision about `task`. */
  reprice(task: TaskShape): void {
    const { freeMilliByKind, kindNames } = this.#cluster;
    const freeMilli = freeMilliByKind.reduce((sum, milli) => sum + milli, 0);
    const arrivals = this.#taskGpuMilli > 0 ? freeMilli / this.#taskGpuMilli : 0;
    if (this.#kindPrices.length < kindNames.length) this.#kindPrices = new Float64Array(kindNames.length);
    this.#kindPrices.fill(0);
    this.#active = [];
    for (const group of this.#groups) {
      // Without the slot, or the GPU, that this very decision may cost.
      const supply = group.supplyMilli - totalGpuMilli(group.slot ?? task);
      group.price = shortage(supply, arrivals, group);
      if (group.price < leastPrice) continue;
      this.#active.push(group);
      if (group.slot) continue;
      for (let kind = 0; kind < this.#kindPrices.length; kind += 1) {
        if (group.accepts?.[kind] !== 1) continue;
        this.#kindPrices[kind] = Math.max(this.#kindPrices[kind] ?? 0, group.price);
      }
    }
  }

  /** Whether anything is scarce now: if not, `costMilli` is 0 everywhere. */
  get isActive(): boolean {
    return this.#active.length > 0;
  }

  /** What a thousandth of a GPU of this kind costs because some tasks insist on it, 0 to 1, after `reprice`. */
  kindPrice(kind: number): number {
    return this.#kindPrices[kind] ?? 0;
  }

  /**
   * What hard tasks lose, in thousandths of a GPU, when a task goes to a node in this state. The worst of
   * what each group loses and not the sum, because the place is lost only once.
   *
   * @param idleTaken how many idle GPUs it takes
   * @param gpus which GPUs it takes, by the order of the state; only looked at where they are of several kinds
   */
  costMilli(task: TaskShape, state: NodeState, idleTaken: number, gpus: readonly number[]): number {
    let most = 0;
    for (const group of this.#active) {
      if (group.slot && state.wholeGpus < group.slot.gpuCount) continue;
      if (state.onlyKind >= 0 && group.accepts && group.accepts[state.onlyKind] !== 1) continue;
      const before = supplyOf(group, state, noTask, 0, noGpus);
      if (before === 0) continue;
      most = Math.max(most, group.price * (before - supplyOf(group, state, task, idleTaken, gpus)));
    }
    return most;
  }

  #count(state: NodeState, nodes: number): void {
    for (const group of this.#groups) group.supplyMilli += nodes * supplyOf(group, state, noTask, 0, noGpus);
  }
}

const noTask: TaskShape = { cpuMilli: 0, memoryMib: 0, gpuCount: 0, gpuMilli: 0, kinds: [] };
const noGpus: readonly number[] = [];

/** What tasks of a group could have of a node in this state, in thousandths of GPU, beside a given task. */
function supplyOf(
  group: Group,
  state: NodeState,
  beside: TaskShape,
  idleTaken: number,
  gpus: readonly number[],
): number {
  const { slot, accepts } = group;
  const cpuMilli = state.cpuMilli - beside.cpuMilli;
  const memoryMib = state.memoryMib - beside.memoryMib;
  let freeMilli = 0;
  let wholeGpus = 0;
  if (!accepts || (state.onlyKind >= 0 && accepts[state.onlyKind] === 1)) {
    freeMilli = state.freeMilli - totalGpuMilli(beside);
    wholeGpus = state.wholeGpus - idleTaken;
  } else if (state.onlyKind < 0) {
    for (const [gpu, kind] of state.kinds.entries()) {
      if (accepts[kind] !== 1) continue;
      const free = (state.free[gpu] ?? 0) - (gpus.includes(gpu) ? milliPerGpu(beside) : 0);
      freeMilli += free;
      if (free === wholeGpuMilli) wholeGpus += 1;
    }
  }
  if (!slot) {
    return Math.min(
      freeMilli,
      perhaps(cpuMilli, group.cpuPerMilli),
      perhaps(memoryMib, group.memoryPerMilli),
    );
  }
  if (wholeGpus < slot.gpuCount || cpuMilli < slot.cpuMilli || memoryMib < slot.memoryMib) return 0;
  const slots = Math.min(
    Math.floor(wholeGpus / slot.gpuCount),
    Math.floor(perhaps(cpuMilli, slot.cpuMilli)),
    Math.floor(perhaps(memoryMib, slot.memoryMib)),
  );
  return slots * slot.gpuCount * wholeGpuMilli;
}

function perhaps(amount: number, each: number): number {
  return each > 0 ? amount / each : Number.MAX_SAFE_INTEGER;
}

/** By kind number, 1 for a kind that will do; null when any kind does. */
export function acceptedKinds(cluster: Cluster, kinds: readonly string[]): Uint8Array | null {
  if (kinds.length === 0) return null;
  const accepts = new Uint8Array(cluster.kindNames.length);
  for (const kind of kinds) {
    const number = cluster.kindNumber(kind);
    if (number >= 0) accepts[number] = 1;
  }
  return accepts;
}

function isWithin(inner: Uint8Array | null, outer: Uint8Array | null): boolean {
  if (!outer) return true;
  return inner?.every((accepted, kind) => accepted === 0 || outer[kind] === 1) ?? false;
}

function groupOf(
  members: readonly { task: TaskClass }[],
  accepts: Uint8Array | null,
  slot: TaskShape | null,
): Group {
  const sums = { gpuMilli: 0, gpuMilliSquared: 0, cpuMilli: 0, memoryMib: 0 };
  for (const { task } of members) {
    const milli = totalGpuMilli(task);
    sums.gpuMilli += task.popularity * milli;
    sums.gpuMilliSquared += task.popularity * milli * milli;
    sums.cpuMilli += task.popularity * task.cpuMilli;
    sums.memoryMib += task.popularity * task.memoryMib;
  }
  return {
    slot,
    accepts,
    cpuPerMilli: sums.cpuMilli / sums.gpuMilli,
    memoryPerMilli: sums.memoryMib / sums.gpuMilli,
    gpuMilli: sums.gpuMilli,
    gpuMilliSquared: sums.gpuMilliSquared,
    supplyMilli: 0,
    price: 0,
  };
}

/** The probability that so many arrivals, of Poisson number, ask for more than the supply. */
function shortage(supplyMilli: number, arrivals: number, group: Group): number {
  const deviation = Math.sqrt(arrivals * group.gpuMilliSquared);
  if (deviation === 0) return 0;
  return normalTail((supplyMilli - arrivals * group.gpuMilli) / deviation);
}

/** The probability that a standard normal variable is above z, to 1e-7 (Abramowitz & Stegun 26.2.17). */
function normalTail(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const series =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return z >= 0 ? tail : 1 - tail;
}
