import { fitsState, type NodeState } from '../../orchestrator/src/matching/placement/cluster.ts';
import { acceptedKinds } from '../../orchestrator/src/matching/placement/protection.ts';
import {
  isShare,
  milliPerGpu,
  type TaskShape,
  totalGpuMilli,
  wholeGpuMilli,
} from '../../orchestrator/src/matching/placement/task-shape.ts';
import { Fragmentation, freeAfter } from './fragmentation.ts';
import type { MakePolicy, World } from './inflation.ts';
import { anyFittingGpus, bestFitGpus, idleGpus, scoredPolicy } from './scored-policy.ts';

/**
 * The six policies that the paper compares, written anew from its description and from the behaviour of its
 * simulator (github.com/hkust-adsl/kubernetes-scheduler-simulator). As there, scores are whole numbers from 0
 * to 100, so that many nodes are equal, and the first in a random but fixed order gets the task.
 */
export const publishedPolicies: Record<string, MakePolicy> = {
  random: randomFit,
  dotprod: dotProduct,
  gpuclustering: gpuClustering,
  gpupacking: gpuPacking,
  bestfit: bestFit,
  fgd,
};

/** The largest node, by which resources are made comparable. */
const maxCpuMilli = 128_000;
const maxGpuMilli = 8 * wholeGpuMilli;

/** Any node that fits. */
function randomFit(world: World) {
  const { cluster, nodeCount, random } = world;
  return {
    place(task: TaskShape) {
      const accepts = acceptedKinds(cluster, task.kinds);
      const fitting: number[] = [];
      for (let node = 0; node < nodeCount; node += 1) {
        if (fitsState(cluster.stateOf(node), task, accepts)) fitting.push(node);
      }
      const node = fitting[Math.floor(random() * fitting.length)];
      if (node === undefined) return false;
      cluster.take(node, task, anyFittingGpus(world, node, task));
      return true;
    },
  };
}

/** The node whose free CPU and GPU have the smallest dot product with what the task asks (after Tetris). */
function dotProduct(world: World) {
  return scoredPolicy(world, {
    score(state, task) {
      const cpu = (state.cpuMilli / maxCpuMilli) * (task.cpuMilli / maxCpuMilli);
      const gpu = (state.freeMilli / maxGpuMilli) * (totalGpuMilli(task) / maxGpuMilli);
      return Math.trunc(100 * (1 - (cpu + gpu) / 2));
    },
    pickGpus: (node, task) => bestFitGpus(world, node, task),
  });
}

/** Nodes that already run tasks of the same number of GPUs first, then idle ones (after Gandiva). */
function gpuClustering(world: World) {
  const sortsByNode = Array.from({ length: world.nodeCount }, () => new Set<string>());
  const sortOf = (task: TaskShape) => (isShare(task) ? 'share' : `${task.gpuCount}`);
  return scoredPolicy(world, {
    score(state, task, node) {
      if (task.gpuCount === 0) return 0;
      const sorts = sortsByNode[node];
      const packed = Math.trunc((25 * (maxGpuMilli - state.freeMilli)) / maxGpuMilli);
      if (!sorts || sorts.size === 0) return packed + 25;
      if (!sorts.has(sortOf(task))) return packed;
      return packed + (sorts.size === 1 ? 75 : 50);
    },
    pickGpus: (node, task) => bestFitGpus(world, node, task),
    placed(node, task) {
      if (task.gpuCount > 0) sortsByNode[node]?.add(sortOf(task));
    },
  });
}

/** GPUs in use first, then idle GPUs of nodes in use, then idle nodes. */
function gpuPacking(world: World) {
  return scoredPolicy(world, {
    score(state, task) {
      if (task.gpuCount === 0) return 0;
      const gpus = state.free.length;
      if (state.wholeGpus === gpus) return Math.max(33 - gpus, gpus);
      const milli = milliPerGpu(task);
      const used = [...state.free].sort((a, b) => a - b).filter((free) => free >= milli);
      const chosen = used.slice(0, task.gpuCount);
      const idle = chosen.filter((free) => free === wholeGpuMilli).length;
      if (idle > 0) return Math.max(50 - idle, 33);
      const freePercent = chosen.reduce((sum, free) => sum + Math.trunc(free / 10), 0);
      return Math.max(100 - Math.trunc(freePercent / 10), 50);
    },
    pickGpus: (node, task) => bestFitGpus(world, node, task),
  });
}

/** The node that has the least CPU and GPU left afterwards. */
function bestFit(world: World) {
  return scoredPolicy(world, {
    score(state, task) {
      const cpu = (state.cpuMilli - task.cpuMilli) / maxCpuMilli;
      const gpu = (state.freeMilli - totalGpuMilli(task)) / maxGpuMilli;
      return Math.trunc(100 * (1 - (cpu + gpu) / 2));
    },
    pickGpus: (node, task) => bestFitGpus(world, node, task),
  });
}

/** Fragmentation gradient descent: the node, and the GPU in it, where fragmentation grows least. */
function fgd(world: World) {
  const { cluster, workload } = world;
  const fragmentation = new Fragmentation(workload);
  const kindOf = (state: NodeState) => cluster.kindNames[state.kinds[0] ?? -1] ?? '';
  const scoreOf = (state: NodeState, task: TaskShape, free: readonly number[], gpu: number) => {
    const kind = kindOf(state);
    const before = fragmentation.milli({ cpuMilli: state.cpuMilli, kind, free });
    const cpuMilli = state.cpuMilli - task.cpuMilli;
    const after = fragmentation.milli({ cpuMilli, kind, free: freeAfter(free, task, gpu) });
    return Math.trunc(100 / (1 + Math.exp((after - before) / wholeGpuMilli)));
  };
  const bestShare = (state: NodeState, task: TaskShape, free: readonly number[]) => {
    let best = { gpu: -1, score: -1 };
    for (const [gpu, milli] of free.entries()) {
      if (milli < milliPerGpu(task)) continue;
      const score = scoreOf(state, task, free, gpu);
      if (score > best.score) best = { gpu, score };
    }
    return best;
  };
  return scoredPolicy(world, {
    score(state, task) {
      if (isShare(task)) return bestShare(state, task, state.free).score;
      return scoreOf(state, task, state.free, -1);
    },
    pickGpus(node, task) {
      const { gpus } = cluster.read(node);
      if (!isShare(task)) return idleGpus(gpus, task.gpuCount);
      const free = gpus.map(({ freeMilli }) => freeMilli);
      return [bestShare(cluster.stateOf(node), task, free).gpu];
    },
  });
}
