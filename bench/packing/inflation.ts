import { Cluster, type NodeSpec } from '../../orchestrator/src/matching/placement/cluster.ts';
import {
  type TaskShape,
  totalGpuMilli,
  wholeGpuMilli,
} from '../../orchestrator/src/matching/placement/task-shape.ts';

/** What a policy may know and touch. */
export interface World {
  cluster: Cluster;
  /** Nodes have the indices 0 to `nodeCount` - 1, in the random order of this run. */
  nodeCount: number;
  /** The tasks that the arrivals are drawn from: the paper gives its policies their distribution. */
  workload: readonly TaskShape[];
  random: () => number;
}

export interface Policy {
  /** Places an arriving task and takes its place in the cluster; false when it fits nowhere. */
  place(task: TaskShape): boolean;
}

export type MakePolicy = (world: World) => Policy;

export interface Replay {
  /** Per cent of the GPU capacity allocated when so many per cent of it have been asked for. */
  allocatedPercentAt: Record<number, number>;
  /** Per cent of the capacity that had been asked for when the first task was refused. */
  firstRefusalPercent: number;
  /** Per cent of the capacity that refused tasks had asked for, of the first 100. */
  refusedPercentAt100: number;
  /** One per arrival, in order. */
  microsPerDecision: number[];
}

/**
 * The experiment of the paper ("inflation"): tasks arrive until the GPUs that they ask for add up to 130 % of
 * the capacity; a task that fits nowhere is refused; nothing departs. First every task of the trace once, in
 * random order, then tasks drawn from it with replacement (or, where the trace asks for more than 130 %, as
 * many taken out at random). Nodes get a random order, which breaks ties between equal scores.
 *
 * As in the published analysis, the figure at X % is the mean over the arrivals at which the GPUs asked for,
 * rounded to a whole per cent, were X %.
 */
export function replayInflation(
  nodes: readonly NodeSpec[],
  workload: readonly TaskShape[],
  seed: number,
  makePolicy: MakePolicy,
): Replay {
  const random = randomNumbers(seed);
  const arrivals = drawArrivals(nodes, workload, random);
  const cluster = new Cluster();
  for (const node of shuffled(nodes, random)) cluster.add(node);
  const capacityMilli = capacityOf(nodes);
  const policy = makePolicy({ cluster, nodeCount: nodes.length, workload, random });
  const sums = new Map<number, { allocated: number; arrivals: number }>();
  const microsPerDecision: number[] = [];
  let askedMilli = 0;
  let allocatedMilli = 0;
  let refusedMilli = 0;
  let firstRefusalPercent = Number.POSITIVE_INFINITY;
  for (const task of arrivals) {
    askedMilli += totalGpuMilli(task);
    const askedPercent = (askedMilli / capacityMilli) * 100;
    const start = process.hrtime.bigint();
    const isPlaced = policy.place(task);
    microsPerDecision.push(Number(process.hrtime.bigint() - start) / 1_000);
    if (isPlaced) allocatedMilli += totalGpuMilli(task);
    else {
      firstRefusalPercent = Math.min(firstRefusalPercent, askedPercent);
      if (askedPercent <= 100) refusedMilli += totalGpuMilli(task);
    }
    const sum = sums.get(Math.round(askedPercent)) ?? { allocated: 0, arrivals: 0 };
    sum.allocated += (allocatedMilli / capacityMilli) * 100;
    sum.arrivals += 1;
    sums.set(Math.round(askedPercent), sum);
  }
  return {
    allocatedPercentAt: Object.fromEntries(
      [...sums].map(([percent, sum]) => [percent, sum.allocated / sum.arrivals]),
    ),
    firstRefusalPercent,
    refusedPercentAt100: (refusedMilli / capacityMilli) * 100,
    microsPerDecision,
  };
}

export function capacityOf(nodes: readonly NodeSpec[]): number {
  return nodes.reduce((sum, { gpus }) => sum + gpus.length * wholeGpuMilli, 0);
}

function drawArrivals(
  nodes: readonly NodeSpec[],
  workload: readonly TaskShape[],
  random: () => number,
): TaskShape[] {
  const targetMilli = 1.3 * capacityOf(nodes);
  const arrivals = shuffled(workload, random);
  let askedMilli = arrivals.reduce((sum, task) => sum + totalGpuMilli(task), 0);
  if (askedMilli === 0) throw new Error('No task of the trace asks for a GPU.');
  while (askedMilli > targetMilli) {
    const [removed] = arrivals.splice(Math.floor(random() * arrivals.length), 1);
    if (removed) askedMilli -= totalGpuMilli(removed);
  }
  for (;;) {
    const task = workload[Math.floor(random() * workload.length)];
    if (!task || askedMilli + totalGpuMilli(task) > targetMilli) return arrivals;
    askedMilli += totalGpuMilli(task);
    arrivals.push(task);
  }
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last -= 1) {
    const other = Math.floor(random() * (last + 1));
    const [a, b] = [result[last], result[other]];
    if (a === undefined || b === undefined) continue;
    result[last] = b;
    result[other] = a;
  }
  return result;
}

/** Numbers between 0 and 1 from a seed (sfc32): equal seeds give equal runs on every machine. */
export function randomNumbers(seed: number): () => number {
  let a = seed | 0;
  let b = 0x9e3779b9 | 0;
  let c = 0x243f6a88 | 0;
  let counter = 1;
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 4_294_967_296;
  };
  for (let i = 0; i < 20; i += 1) next();
  return next;
}
