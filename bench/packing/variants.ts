import type { NodeSpec } from '../../orchestrator/src/matching/placement/cluster.ts';
import {
  isShare,
  milliPerGpu,
  type TaskShape,
  totalGpuMilli,
} from '../../orchestrator/src/matching/placement/task-shape.ts';
import { randomNumbers } from './inflation.ts';

/**
 * Other workloads made out of one, as the study makes its own out of `default`: a policy that was tuned to one
 * workload shows. Each asks for as much GPU as the original. By name:
 *
 * - `sharing-N`: N % of the GPU asked for is asked for in shares;
 * - `multi-N`: N % of it by tasks with several GPUs;
 * - `kinds-N`: N % of the GPU tasks insist on one model, each model in proportion to its GPUs;
 * - `rare-kinds-N`: N % of them insist on a model, every model equally often, so that rare ones run short;
 * - `cpu-N`: N % as many tasks without a GPU as in the original.
 */
export function variantsOf(
  workload: readonly TaskShape[],
  nodes: readonly NodeSpec[],
): { name: string; tasks: TaskShape[] }[] {
  const random = randomNumbers(1);
  const total = workload.reduce((sum, task) => sum + totalGpuMilli(task), 0);
  const withoutGpu = workload.filter((task) => task.gpuCount === 0);
  const withGpu = workload.filter((task) => task.gpuCount > 0);
  const shares = withGpu.filter(isShare);
  const others = withGpu.filter((task) => !isShare(task));
  const several = withGpu.filter((task) => task.gpuCount > 1);
  const single = withGpu.filter((task) => task.gpuCount === 1);
  const draw = (pool: readonly TaskShape[], milli: number) => drawTasks(pool, milli, random);
  const mixed = (special: readonly TaskShape[], rest: readonly TaskShape[], percent: number) => [
    ...withoutGpu,
    ...draw(special, (total * percent) / 100),
    ...draw(rest, (total * (100 - percent)) / 100),
  ];
  const kinds = kindsOf(nodes);
  return [
    ...[40, 60, 80, 100].map((percent) => ({
      name: `sharing-${percent}`,
      tasks: mixed(shares, others, percent),
    })),
    ...[20, 30, 40, 50].map((percent) => ({
      name: `multi-${percent}`,
      tasks: mixed(several, single, percent),
    })),
    ...[10, 20, 33].map((percent) => ({
      name: `kinds-${percent}`,
      tasks: insisting(workload, nodes, percent, kinds, random),
    })),
    ...[10, 20, 33].map((percent) => ({
      name: `rare-kinds-${percent}`,
      tasks: insisting(workload, nodes, percent, equally(kinds), random),
    })),
    ...[50, 200, 250].map((percent) => ({
      name: `cpu-${percent}`,
      tasks: [...withGpu, ...drawCount(withoutGpu, (withoutGpu.length * percent) / 100, random)],
    })),
  ];
}

type Weights = ReadonlyMap<string, number>;

/** GPUs by model, without models that make up less than 1 % of them. */
function kindsOf(nodes: readonly NodeSpec[]): Weights {
  const counts = new Map<string, number>();
  for (const { kind } of nodes.flatMap(({ gpus }) => gpus)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return new Map([...counts].filter(([, count]) => count >= total / 100));
}

function equally(weights: Weights): Weights {
  return new Map([...weights.keys()].map((kind) => [kind, 1]));
}

/** Some tasks insist on a model, only on such as have a node that is large enough for the task. */
function insisting(
  workload: readonly TaskShape[],
  nodes: readonly NodeSpec[],
  percent: number,
  weights: Weights,
  random: () => number,
): TaskShape[] {
  const could = (task: TaskShape, kind: string) =>
    nodes.some(
      (node) =>
        node.cpuMilli >= task.cpuMilli &&
        node.memoryMib >= task.memoryMib &&
        node.gpus.filter((gpu) => gpu.kind === kind && gpu.freeMilli >= milliPerGpu(task)).length >=
          task.gpuCount,
    );
  return workload.map((task) => {
    if (task.gpuCount === 0 || random() >= percent / 100) return task;
    const possible = [...weights].filter(([kind]) => could(task, kind));
    let left = random() * possible.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [kind, weight] of possible) {
      left -= weight;
      if (left < 0) return { ...task, kinds: [kind] };
    }
    return task;
  });
}

function drawTasks(pool: readonly TaskShape[], milli: number, random: () => number): TaskShape[] {
  const drawn: TaskShape[] = [];
  let asked = 0;
  while (asked < milli) {
    const task = pool[Math.floor(random() * pool.length)];
    if (!task) break;
    drawn.push(task);
    asked += totalGpuMilli(task);
  }
  return drawn;
}

function drawCount(pool: readonly TaskShape[], count: number, random: () => number): TaskShape[] {
  return Array.from({ length: Math.round(count) }).flatMap(
    () => pool[Math.floor(random() * pool.length)] ?? [],
  );
}
