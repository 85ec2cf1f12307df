import {
  fitsState,
  type NodeIndex,
  type NodeState,
} from '../../orchestrator/src/matching/placement/cluster.ts';
import { acceptedKinds } from '../../orchestrator/src/matching/placement/protection.ts';
import {
  isShare,
  milliPerGpu,
  shapeKey,
  type TaskShape,
  wholeGpuMilli,
} from '../../orchestrator/src/matching/placement/task-shape.ts';
import type { Policy, World } from './inflation.ts';

/** How a policy judges: the node with the highest score gets the task; equal scores, the first in order. */
export interface Scoring {
  score(state: NodeState, task: TaskShape, node: NodeIndex): number;
  pickGpus(node: NodeIndex, task: TaskShape): number[];
  /** Told of every placement. */
  placed?(node: NodeIndex, task: TaskShape): void;
}

/**
 * A policy of the Kubernetes kind: filter, score every node, take the best. Scores are remembered per shape of
 * task and computed anew only for nodes that have changed.
 */
export function scoredPolicy({ cluster, nodeCount }: World, scoring: Scoring): Policy {
  const remembered = new Map<string, { scores: Float64Array; stateIds: Int32Array }>();
  return {
    place(task) {
      const key = shapeKey(task);
      let known = remembered.get(key);
      if (!known) {
        known = { scores: new Float64Array(nodeCount), stateIds: new Int32Array(nodeCount) };
        remembered.set(key, known);
      }
      const accepts = acceptedKinds(cluster, task.kinds);
      const { scores, stateIds } = known;
      let best = -1;
      let bestScore = Number.NEGATIVE_INFINITY;
      for (let node = 0; node < nodeCount; node += 1) {
        const state = cluster.stateOf(node);
        if (stateIds[node] !== state.id) {
          stateIds[node] = state.id;
          scores[node] = fitsState(state, task, accepts)
            ? scoring.score(state, task, node)
            : Number.NEGATIVE_INFINITY;
        }
        const score = scores[node] ?? Number.NEGATIVE_INFINITY;
        if (score > bestScore) {
          best = node;
          bestScore = score;
        }
      }
      if (best < 0) return false;
      cluster.take(best, task, scoring.pickGpus(best, task));
      scoring.placed?.(best, task);
      return true;
    },
  };
}

/** The GPU with the least free that a share fits into; for whole GPUs, the first idle ones. */
export function bestFitGpus({ cluster }: World, node: NodeIndex, task: TaskShape): number[] {
  const { gpus } = cluster.read(node);
  if (!isShare(task)) return idleGpus(gpus, task.gpuCount);
  const fitting = gpus
    .map(({ freeMilli }, gpu) => ({ freeMilli, gpu }))
    .filter(({ freeMilli }) => freeMilli >= milliPerGpu(task));
  return fitting
    .sort((a, b) => a.freeMilli - b.freeMilli || a.gpu - b.gpu)
    .slice(0, 1)
    .map(({ gpu }) => gpu);
}

/** Any GPU that a share fits into; for whole GPUs, the first idle ones. */
export function anyFittingGpus({ cluster, random }: World, node: NodeIndex, task: TaskShape): number[] {
  const { gpus } = cluster.read(node);
  if (!isShare(task)) return idleGpus(gpus, task.gpuCount);
  const fitting = gpus.flatMap(({ freeMilli }, gpu) => (freeMilli >= milliPerGpu(task) ? [gpu] : []));
  const chosen = fitting[Math.floor(random() * fitting.length)];
  return chosen === undefined ? [] : [chosen];
}

export function idleGpus(gpus: readonly { freeMilli: number }[], count: number): number[] {
  return gpus.flatMap(({ freeMilli }, gpu) => (freeMilli === wholeGpuMilli ? [gpu] : [])).slice(0, count);
}
