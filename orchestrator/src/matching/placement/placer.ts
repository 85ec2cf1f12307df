import { invariant } from '@computefabric/runtime/invariant';
import { type Cluster, fitsState, type NodeIndex, type NodeState } from './cluster.ts';
import type { Demand, TaskClass } from './demand.ts';
import { acceptedKinds, Protection } from './protection.ts';
import { levelOf, ShareWorth } from './share-worth.ts';
import { Stranding } from './stranding.ts';
import {
  isShare,
  milliPerGpu,
  shapeKey,
  type TaskShape,
  totalGpuMilli,
  wholeGpuMilli,
} from './task-shape.ts';

/** Where a task should go. */
export interface Choice {
  node: NodeIndex;
  /** Which GPUs of the node, by its own order. */
  gpus: number[];
  /** Thousandths of a GPU that this choice is expected to make unusable. Below 0, it makes some usable. */
  costMilli: number;
  /** The same with what else speaks against the node. */
  weightedMilli: number;
}

/** The worth of shares is estimated anew after so many changes of nodes; 50 to 250 fill equally well. */
const changesPerEstimate = 250;

/** What tasks to expect is estimated anew when a quarter more have been seen than the last time, or so many. */
const maxArrivalsPerEstimate = 2_000;

/** Shapes of tasks whose costs are remembered; a market sees few at a time. */
const maxShapes = 512;

/** Costs that differ by less are equal, and the tie-break decides. */
const equalMilli = 1e-6;

/**
 * Chooses nodes and GPUs for tasks so that as much GPU capacity as possible stays usable for the tasks that
 * are expected. Pure: reads the cluster, changes nothing.
 *
 * The cost of a choice, in thousandths of a GPU, is what it is expected to strand:
 * - free shares that no expected task fits into (`ShareWorth`),
 * - GPUs that will lack CPU or memory (`Stranding`),
 * - slots for tasks with several GPUs, and GPUs of a kind that some tasks insist on, as far as these are
 *   likely to run short (`Protection`).
 *
 * The idea to score by the growth of fragmentation is that of FGD (Weng et al., USENIX ATC 2023); theirs
 * counts a GPU as lost for a task when the next task of a class does not fit, ours estimates what is left
 * unused when the cluster is full.
 */
export class Placer {
  readonly #cluster: Cluster;
  readonly #demand: Demand;
  readonly #shapes = new Map<string, ShapeCosts>();
  #byTask = new WeakMap<TaskShape, ShapeCosts>();
  readonly #shareWorth = new ShareWorth();
  #classes: readonly TaskClass[] = [];
  #protection: Protection;
  #strandings = { cpu: new Stranding([], 'cpuMilli'), memory: new Stranding([], 'memoryMib') };
  #estimatedAtChange = 0;
  #estimatedAtArrivals = 0;
  #estimatedAtKinds = 0;
  /** Grows when the estimates change: what was computed before is void. */
  #epoch = 0;
  // By slot of a state: which state it was computed for and when, shares that stay unused, and all that does.
  #stateIds = new Int32Array(64);
  #stateEpochs = new Int32Array(64);
  #unusedShares = new Float64Array(64);
  #stranded = new Float64Array(64);

  constructor(cluster: Cluster, demand: Demand) {
    this.#cluster = cluster;
    this.#demand = demand;
    this.#protection = new Protection(cluster, []);
    cluster.listen((from, to) => this.#protection.moved(from, to));
    this.#estimateDemand();
  }

  /**
   * The best place for a task now; null when it fits nowhere, or only on excluded nodes.
   *
   * @param weigh what else speaks against nodes of a label, in the same thousandths of a GPU (their price,
   * their reliability); null excludes them
   * @param allows whether this very node may be taken; asked until one of a state may
   */
  best(
    task: TaskShape,
    weigh?: (label: number) => number | null,
    allows?: (node: NodeIndex) => boolean,
  ): Choice | null {
    const shape = this.#prepare(task);
    let best: Candidate | null = null;
    for (const state of this.#cluster.states) {
      const weight = weigh ? weigh(state.label) : 0;
      if (weight === null) continue;
      const first = this.#costSlot(shape, state);
      for (let way = 0; way < ways; way += 1) {
        const cost = shape.costs[first + way] ?? Infinity;
        if (cost === Infinity) continue;
        const gpu = shape.gpus[first + way] ?? -1;
        const costMilli = cost + this.#scarcity(shape, state, way, gpu);
        const weightedMilli = costMilli + weight;
        if (best && !isBetter(weightedMilli, state, best)) continue;
        const node = allows ? state.nodes.find(allows) : state.nodes[0];
        if (node === undefined) break;
        best = { state, node, gpu, costMilli, weightedMilli };
      }
    }
    return best && this.#choice(shape, best);
  }

  #prepare(task: TaskShape): ShapeCosts {
    this.#estimateIfDue();
    const shape = this.#costsOf(task);
    if (shape.kindsKnown !== this.#cluster.kindNames.length) {
      shape.accepts = acceptedKinds(this.#cluster, task.kinds);
      shape.kindsKnown = this.#cluster.kindNames.length;
      shape.epochs.fill(-1);
    }
    shape.grow(this.#cluster.states.length);
    this.#protection.reprice(task);
    return shape;
  }

  /** By the task itself where it is known: the matcher asks with one object for all jobs of a shape. */
  #costsOf(task: TaskShape): ShapeCosts {
    const same = this.#byTask.get(task);
    if (same) return same;
    const key = shapeKey(task);
    let shape = this.#shapes.get(key);
    if (!shape) {
      if (this.#shapes.size >= maxShapes) {
        this.#shapes.clear();
        this.#byTask = new WeakMap();
      }
      shape = new ShapeCosts(task);
      this.#shapes.set(key, shape);
    }
    this.#byTask.set(task, shape);
    return shape;
  }

  #estimateIfDue(): void {
    const { changes, kindNames } = this.#cluster;
    const { arrivals } = this.#demand;
    const isDemandNew =
      arrivals >=
        Math.min(1.25 * this.#estimatedAtArrivals, this.#estimatedAtArrivals + maxArrivalsPerEstimate) &&
      arrivals > this.#estimatedAtArrivals;
    if (isDemandNew || kindNames.length !== this.#estimatedAtKinds) this.#estimateDemand();
    else if (changes - this.#estimatedAtChange >= changesPerEstimate) this.#estimateShares();
  }

  #estimateDemand(): void {
    this.#classes = this.#demand.classes();
    this.#strandings = {
      cpu: new Stranding(this.#classes, 'cpuMilli'),
      memory: new Stranding(this.#classes, 'memoryMib'),
    };
    this.#protection = new Protection(this.#cluster, this.#classes);
    this.#estimatedAtArrivals = this.#demand.arrivals;
    this.#estimatedAtKinds = this.#cluster.kindNames.length;
    this.#estimateShares();
  }

  #estimateShares(): void {
    const gpusByLevel = new Float64Array(levelOf(wholeGpuMilli) + 1);
    for (const { free, nodes } of this.#cluster.states) {
      for (const milli of free) {
        const level = levelOf(milli);
        gpusByLevel[level] = (gpusByLevel[level] ?? 0) + nodes.length;
      }
    }
    this.#shareWorth.solve(this.#classes, gpusByLevel);
    this.#estimatedAtChange = this.#cluster.changes;
    this.#epoch += 1;
  }

  /** What is stranded on a node in this state, kept by slot. */
  #value(state: NodeState): void {
    const { slot } = state;
    if (this.#stateIds[slot] === state.id && this.#stateEpochs[slot] === this.#epoch) return;
    if (slot >= this.#stateIds.length) {
      this.#stateIds = grown(this.#stateIds, new Int32Array(2 * slot));
      this.#stateEpochs = grown(this.#stateEpochs, new Int32Array(2 * slot));
      this.#unusedShares = grown(this.#unusedShares, new Float64Array(2 * slot));
      this.#stranded = grown(this.#stranded, new Float64Array(2 * slot));
    }
    let unused = 0;
    for (const milli of state.free) unused += this.#unused(milli);
    this.#unusedShares[slot] = unused;
    this.#stranded[slot] = this.#strandedWith(state.cpuMilli, state.memoryMib, state.freeMilli, unused);
    this.#stateIds[slot] = state.id;
    this.#stateEpochs[slot] = this.#epoch;
  }

  #unused(freeMilli: number): number {
    return this.#shareWorth.strandedMilli[levelOf(freeMilli)] ?? 0;
  }

  #strandedWith(cpuMilli: number, memoryMib: number, freeMilli: number, unusedShares: number): number {
    const usable = freeMilli - unusedShares;
    if (usable <= 0) return unusedShares;
    const { cpu, memory } = this.#strandings;
    return unusedShares + Math.max(cpu.milli(cpuMilli, usable), memory.milli(memoryMib, usable));
  }

  /** Where in `shape.costs` the costs for this state begin; they are there afterwards. */
  #costSlot(shape: ShapeCosts, state: NodeState): number {
    const { slot, id } = state;
    if (shape.ids[slot] !== id || shape.epochs[slot] !== this.#epoch) this.#evaluate(shape, state);
    return slot * ways;
  }

  /** Computes the cost of a task on nodes in this state, for each way of taking GPUs, without scarcity. */
  #evaluate(shape: ShapeCosts, state: NodeState): void {
    const { slot } = state;
    const { task, accepts } = shape;
    const first = slot * ways;
    shape.ids[slot] = state.id;
    shape.epochs[slot] = this.#epoch;
    shape.costs[first + ofPartlyUsed] = Infinity;
    shape.costs[first + ofIdle] = Infinity;
    if (!fitsState(state, task, accepts)) return;
    this.#value(state);
    const before = this.#stranded[slot] ?? 0;
    const unused = this.#unusedShares[slot] ?? 0;
    const cpuMilli = state.cpuMilli - task.cpuMilli;
    const memoryMib = state.memoryMib - task.memoryMib;
    const freeMilli = state.freeMilli - totalGpuMilli(task);
    if (!isShare(task)) {
      const way = task.gpuCount === 0 ? ofPartlyUsed : ofIdle;
      shape.costs[first + way] = this.#strandedWith(cpuMilli, memoryMib, freeMilli, unused) - before;
      shape.gpus[first + way] = -1;
      return;
    }
    const milli = milliPerGpu(task);
    for (let gpu = 0; gpu < state.free.length; gpu += 1) {
      const free = state.free[gpu] ?? 0;
      const kind = state.kinds[gpu] ?? 0;
      if (free < milli || (accepts && accepts[kind] !== 1)) continue;
      if (gpu > 0 && state.free[gpu - 1] === free && state.kinds[gpu - 1] === kind) continue;
      const unusedAfter = unused - this.#unused(free) + this.#unused(free - milli);
      // On a node with several kinds the rarer one is left for later; elsewhere the kind is the same for all.
      const rarity = state.onlyKind >= 0 ? 0 : this.#protection.kindPrice(kind) * milli;
      const cost = this.#strandedWith(cpuMilli, memoryMib, freeMilli, unusedAfter) - before;
      const at = first + (free === wholeGpuMilli ? ofIdle : ofPartlyUsed);
      if (cost + rarity >= (shape.costs[at] ?? Infinity)) continue;
      shape.costs[at] = cost;
      shape.gpus[at] = gpu;
    }
  }

  /** What a choice takes from tasks that are hard to place. */
  #scarcity(shape: ShapeCosts, state: NodeState, way: number, gpu: number): number {
    if (!this.#protection.isActive) return 0;
    // Where all GPUs are of one kind it does not matter which are taken, and the list is not made.
    const gpus = state.onlyKind < 0 && state.free.length > 0 ? this.#taken(shape, state, gpu) : noGpus;
    return this.#protection.costMilli(shape.task, state, way === ofIdle ? shape.task.gpuCount : 0, gpus);
  }

  /** Which GPUs a way of placing takes, by the order of the state. */
  #taken(shape: ShapeCosts, state: NodeState, gpu: number): readonly number[] {
    if (gpu >= 0) return [gpu];
    return shape.task.gpuCount === 0 ? [] : this.#idleGpus(shape, state);
  }

  /** Idle GPUs for a task that takes them whole, cheapest kind first, by the order of the state. */
  #idleGpus({ task, accepts }: ShapeCosts, state: NodeState): number[] {
    const idle: number[] = [];
    for (let gpu = 0; gpu < state.free.length; gpu += 1) {
      if (state.free[gpu] !== wholeGpuMilli || (accepts && accepts[state.kinds[gpu] ?? 0] !== 1)) continue;
      idle.push(gpu);
      // Where all are of one kind none is cheaper than another.
      if (state.onlyKind >= 0 && idle.length === task.gpuCount) return idle;
    }
    const price = (gpu: number) => this.#protection.kindPrice(state.kinds[gpu] ?? 0);
    return idle.sort((a, b) => price(a) - price(b) || a - b).slice(0, task.gpuCount);
  }

  /** A candidate with the GPUs of the node that stand for those of its state, which are in another order. */
  #choice(shape: ShapeCosts, { state, node, gpu, costMilli, weightedMilli }: Candidate): Choice {
    const own = this.#cluster.gpusOf(node);
    const gpus: number[] = [];
    for (const each of this.#taken(shape, state, gpu)) {
      let index = 0;
      while (
        index < own.free.length &&
        (own.kinds[index] !== state.kinds[each] ||
          own.free[index] !== state.free[each] ||
          gpus.includes(index))
      )
        index += 1;
      invariant(index < own.free.length, `node ${node} is not in its state`);
      gpus.push(index);
    }
    const inOrder = gpus.length > 1 ? gpus.sort((a, b) => a - b) : gpus;
    return { node, gpus: inOrder, costMilli, weightedMilli };
  }
}

interface Candidate {
  state: NodeState;
  node: NodeIndex;
  /** By the order of the state; -1 for whole GPUs or none. */
  gpu: number;
  costMilli: number;
  /** With what else speaks against the node. */
  weightedMilli: number;
}

// A share comes out of a GPU that others use already, or out of an idle one. Both are kept, because an idle
// GPU may be part of a scarce slot. Tasks that take whole GPUs have only the second way, tasks without a GPU
// only the first.
const noGpus: readonly number[] = [];
const ways = 2;
const ofPartlyUsed = 0;
const ofIdle = 1;

/** What is remembered about one shape of task: its cost by slot of a state and way of taking GPUs. */
class ShapeCosts {
  readonly task: TaskShape;
  readonly totalMilli: number;
  accepts: Uint8Array | null = null;
  kindsKnown = -1;
  /** By slot: the state and the epoch for which the costs hold. */
  ids = new Int32Array(0);
  epochs = new Int32Array(0);
  /** By slot and way. Infinite where the task does not fit. */
  costs = new Float64Array(0);
  /** By slot and way: which GPU, by the order of the state; -1 for whole GPUs. */
  gpus = new Int16Array(0);

  constructor(task: TaskShape) {
    this.task = task;
    this.totalMilli = totalGpuMilli(task);
  }

  grow(slots: number): void {
    if (slots <= this.ids.length) return;
    const size = Math.max(64, 2 * slots);
    this.ids = grown(this.ids, new Int32Array(size));
    this.epochs = grown(this.epochs, new Int32Array(size));
    this.costs = grown(this.costs, new Float64Array(size * ways));
    this.gpus = grown(this.gpus, new Int16Array(size * ways));
  }
}

/**
 * Of equal costs, the node with less CPU left is better, then the one with less memory: what is nearly used
 * up is used up, and room for large tasks is kept. Then the older state, so that equal calls give equal answers.
 */
function isBetter(weightedMilli: number, state: NodeState, than: Candidate): boolean {
  const difference = weightedMilli - than.weightedMilli;
  if (Math.abs(difference) > equalMilli) return difference < 0;
  const other = than.state;
  return (state.cpuMilli - other.cpuMilli || state.memoryMib - other.memoryMib || state.id - other.id) < 0;
}

function grown<T extends Int32Array | Float64Array | Int16Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
