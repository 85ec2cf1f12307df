import { invariant } from '@computefabric/runtime/invariant';
import { isShare, milliPerGpu, type TaskShape, totalGpuMilli, wholeGpuMilli } from './task-shape.ts';

/** A machine as placement sees it: what is free on it now. */
export interface NodeSpec {
  cpuMilli: number;
  memoryMib: number;
  /** Whether tasks may have less than a whole GPU here. */
  shares: boolean;
  gpus: readonly GpuSpec[];
  /** Equal for machines that may stand for each other in everything else, such as price; 0 unless given. */
  label?: number;
}

export interface GpuSpec {
  /** Equal for GPUs that are interchangeable: the model, with its memory where that differs. */
  kind: string;
  /** Thousandths of this GPU that are free, 0 to 1000. */
  freeMilli: number;
}

/** The index of a node in its cluster. Indices of removed nodes are given out again. */
export type NodeIndex = number;

/**
 * What nodes in the same condition have in common. Whatever is computed about a condition holds for all of
 * them, so a thousand idle machines of one model cost as much as one.
 */
export interface NodeState {
  /** Never given out twice. */
  readonly id: number;
  readonly cpuMilli: number;
  readonly memoryMib: number;
  readonly shares: boolean;
  readonly label: number;
  /** Kind numbers of the GPUs, in order of kind and then of what is free. */
  readonly kinds: readonly number[];
  /** Free thousandths of the GPUs, in the same order. */
  readonly free: readonly number[];
  /** The kind of all GPUs; -1 when there are several kinds or no GPU. */
  readonly onlyKind: number;
  readonly freeMilli: number;
  readonly wholeGpus: number;
  /** The nodes that are in this state now, in no order. */
  readonly nodes: NodeIndex[];
  /** Where it is in `Cluster.states`; changes when another state ends. */
  slot: number;
}

interface Node {
  cpuMilli: number;
  memoryMib: number;
  shares: boolean;
  label: number;
  kinds: number[];
  free: number[];
  state: NodeState;
  /** Where it is in `state.nodes`. */
  position: number;
}

/** Hears of every node that changes its state; null stands for "was not there" and "is gone". */
export type StateListener = (from: NodeState | null, to: NodeState | null) => void;

/** The free capacity of all nodes, in memory, changed step by step. Knows nothing of prices or of the database. */
export class Cluster {
  /** All states that some node is in, in no order. */
  readonly states: NodeState[] = [];
  /** Names of the kinds of GPU seen so far; a kind's number is its place here. */
  readonly kindNames: string[] = [];
  /** Free thousandths by kind number. */
  readonly freeMilliByKind: number[] = [];
  /** Grows with every change of a node. */
  changes = 0;
  readonly #nodes: (Node | null)[] = [];
  readonly #unused: NodeIndex[] = [];
  readonly #stateByKey = new Map<string, NodeState>();
  readonly #kindNumbers = new Map<string, number>();
  readonly #listeners: StateListener[] = [];
  #nextStateId = 1;

  add(spec: NodeSpec): NodeIndex {
    const index = this.#unused.pop() ?? this.#nodes.length;
    this.#insert(index, spec);
    return index;
  }

  remove(index: NodeIndex): void {
    const node = this.#node(index);
    this.#leave(node, null);
    this.#nodes[index] = null;
    this.#unused.push(index);
  }

  /** Replaces what is known of a node, as after reading it anew from the database. */
  replace(index: NodeIndex, spec: NodeSpec): void {
    this.#leave(this.#node(index), null);
    this.#insert(index, spec);
  }

  /** What is free on a node now, in its own order of GPUs. */
  read(index: NodeIndex): NodeSpec {
    const { cpuMilli, memoryMib, shares, label, kinds, free } = this.#node(index);
    const gpus = free.map((freeMilli, gpu) => ({ kind: this.kindNames[kinds[gpu] ?? -1] ?? '', freeMilli }));
    return { cpuMilli, memoryMib, shares, label, gpus };
  }

  /** The GPUs of a node in its own order: numbers of their kinds, and what is free of them. */
  gpusOf(index: NodeIndex): { readonly kinds: readonly number[]; readonly free: readonly number[] } {
    return this.#node(index);
  }

  stateOf(index: NodeIndex): NodeState {
    return this.#node(index).state;
  }

  /** Gives a task its place. It must fit: ask `Placer.best` first. */
  take(index: NodeIndex, task: TaskShape, gpus: readonly number[]): void {
    this.#change(index, task, gpus, -1);
  }

  /** Takes a task's place back: the exact opposite of `take`. */
  release(index: NodeIndex, task: TaskShape, gpus: readonly number[]): void {
    this.#change(index, task, gpus, 1);
  }

  /** The number of a kind of GPU; -1 for one that no node has had. */
  kindNumber(kind: string): number {
    return this.#kindNumbers.get(kind) ?? -1;
  }

  listen(listener: StateListener): void {
    this.#listeners.push(listener);
  }

  #node(index: NodeIndex): Node {
    const node = this.#nodes[index];
    invariant(node, `there is no node ${index}`);
    return node;
  }

  #insert(index: NodeIndex, spec: NodeSpec): void {
    const { cpuMilli, memoryMib, shares, label = 0 } = spec;
    const kinds = spec.gpus.map(({ kind }) => this.#numberFor(kind));
    const free = spec.gpus.map(({ freeMilli }) => freeMilli);
    invariant(
      free.every((milli) => milli >= 0 && milli <= wholeGpuMilli),
      'a GPU has between 0 and 1000 thousandths free',
    );
    const state = this.#stateFor(cpuMilli, memoryMib, shares, label, kinds, free);
    const node = { cpuMilli, memoryMib, shares, label, kinds, free, state, position: 0 };
    this.#nodes[index] = node;
    this.#enter(index, node, state, null);
  }

  #numberFor(kind: string): number {
    const known = this.#kindNumbers.get(kind);
    if (known !== undefined) return known;
    const number = this.kindNames.push(kind) - 1;
    this.#kindNumbers.set(kind, number);
    this.freeMilliByKind.push(0);
    return number;
  }

  #change(index: NodeIndex, task: TaskShape, gpus: readonly number[], sign: 1 | -1): void {
    const node = this.#node(index);
    invariant(gpus.length === task.gpuCount, `the task takes ${task.gpuCount} GPUs, not ${gpus.length}`);
    const milli = milliPerGpu(task);
    const free = [...node.free];
    for (const gpu of gpus) {
      const after = (free[gpu] ?? Number.NaN) + sign * milli;
      invariant(after >= 0 && after <= wholeGpuMilli, `GPU ${gpu} of node ${index} would have ${after} free`);
      free[gpu] = after;
    }
    const cpuMilli = node.cpuMilli + sign * task.cpuMilli;
    const memoryMib = node.memoryMib + sign * task.memoryMib;
    invariant(cpuMilli >= 0 && memoryMib >= 0, `the task does not fit on node ${index}`);
    const from = node.state;
    const to = this.#stateFor(cpuMilli, memoryMib, node.shares, node.label, node.kinds, free);
    this.#leave(node, to);
    node.cpuMilli = cpuMilli;
    node.memoryMib = memoryMib;
    node.free = free;
    node.state = to;
    this.#enter(index, node, to, from);
  }

  #enter(index: NodeIndex, node: Node, state: NodeState, from: NodeState | null): void {
    node.position = state.nodes.push(index) - 1;
    this.#account(state, 1);
    this.changes += 1;
    for (const listener of this.#listeners) listener(from, state);
  }

  /** @param to the state it goes to, which tells the listeners itself; null when the node goes away. */
  #leave(node: Node, to: NodeState | null): void {
    const { state, position } = node;
    const last = state.nodes.pop();
    if (last !== undefined && position < state.nodes.length) {
      state.nodes[position] = last;
      this.#node(last).position = position;
    }
    this.#account(state, -1);
    if (state.nodes.length === 0 && state !== to) this.#forget(state);
    if (to) return;
    this.changes += 1;
    for (const listener of this.#listeners) listener(state, null);
  }

  #account(state: NodeState, sign: 1 | -1): void {
    for (let gpu = 0; gpu < state.kinds.length; gpu += 1) {
      const kind = state.kinds[gpu] ?? -1;
      this.freeMilliByKind[kind] = (this.freeMilliByKind[kind] ?? 0) + sign * (state.free[gpu] ?? 0);
    }
  }

  #forget(state: NodeState): void {
    this.#stateByKey.delete(
      stateKey(state.cpuMilli, state.memoryMib, state.shares, state.label, state.kinds, state.free),
    );
    const last = this.states.pop();
    if (!last || last === state) return;
    this.states[state.slot] = last;
    last.slot = state.slot;
  }

  #stateFor(
    cpuMilli: number,
    memoryMib: number,
    shares: boolean,
    label: number,
    nodeKinds: readonly number[],
    nodeFree: readonly number[],
  ): NodeState {
    const { kinds, free } = inOrder(nodeKinds, nodeFree);
    const key = stateKey(cpuMilli, memoryMib, shares, label, kinds, free);
    const known = this.#stateByKey.get(key);
    if (known) return known;
    const first = kinds[0] ?? -1;
    const state: NodeState = {
      id: this.#nextStateId++,
      cpuMilli,
      memoryMib,
      shares,
      label,
      kinds,
      free,
      onlyKind: kinds.every((kind) => kind === first) ? first : -1,
      freeMilli: free.reduce((sum, milli) => sum + milli, 0),
      wholeGpus: free.filter((milli) => milli === wholeGpuMilli).length,
      nodes: [],
      slot: this.states.length,
    };
    this.states.push(state);
    this.#stateByKey.set(key, state);
    return state;
  }
}

/** By kind and then by what is free. By insertion: they are few, and nearly in order. */
function inOrder(
  nodeKinds: readonly number[],
  nodeFree: readonly number[],
): { kinds: number[]; free: number[] } {
  const kinds = nodeKinds.slice();
  const free = nodeFree.slice();
  for (let next = 1; next < free.length; next += 1) {
    const kind = kinds[next] ?? 0;
    const milli = free[next] ?? 0;
    let at = next;
    for (; at > 0; at -= 1) {
      const kindBefore = kinds[at - 1] ?? 0;
      const milliBefore = free[at - 1] ?? 0;
      if (kindBefore < kind || (kindBefore === kind && milliBefore <= milli)) break;
      kinds[at] = kindBefore;
      free[at] = milliBefore;
    }
    kinds[at] = kind;
    free[at] = milli;
  }
  return { kinds, free };
}

/**
 * Whether a task fits on a node in this state now.
 *
 * @param accepts by kind number, 1 for a kind that will do; null when any kind does
 */
export function fitsState(state: NodeState, task: TaskShape, accepts: Uint8Array | null): boolean {
  if (state.cpuMilli < task.cpuMilli || state.memoryMib < task.memoryMib) return false;
  if (task.gpuCount === 0) return true;
  if (state.freeMilli < totalGpuMilli(task) || (isShare(task) && !state.shares)) return false;
  const milli = milliPerGpu(task);
  let fitting = 0;
  for (let gpu = 0; gpu < state.free.length; gpu += 1) {
    if ((state.free[gpu] ?? 0) >= milli && (!accepts || accepts[state.kinds[gpu] ?? 0] === 1)) fitting += 1;
  }
  return fitting >= task.gpuCount;
}

function stateKey(
  cpuMilli: number,
  memoryMib: number,
  shares: boolean,
  label: number,
  kinds: readonly number[],
  free: readonly number[],
): string {
  return `${cpuMilli},${memoryMib},${shares ? 1 : 0},${label};${kinds.join()};${free.join()}`;
}
