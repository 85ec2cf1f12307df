import {
  milliPerGpu,
  shapeKey,
  type TaskShape,
  wholeGpuMilli,
} from '../../orchestrator/src/matching/placement/task-shape.ts';

/** What the measure looks at: all GPUs of a node are of one model. */
export interface NodeView {
  cpuMilli: number;
  /** The model of its GPUs. */
  kind: string;
  /** Free thousandths of each GPU. */
  free: readonly number[];
}

interface TargetClass extends TaskShape {
  popularity: number;
}

/**
 * The fragmentation of a node, in thousandths of a GPU, as the paper defines it (Weng et al., "Beware of
 * Fragmentation", USENIX ATC 2023, section 4): for each class m of the target workload, the free GPU of the
 * node that tasks of class m cannot use, weighted with the popularity of m. Of class m cannot be used:
 *
 * - all free GPU, when a task of class m does not fit on the node (too little CPU, another GPU model, too few
 *   GPUs with enough free), and when m asks for no GPU at all;
 * - otherwise the free GPU of those devices that have less free than m takes of one device.
 */
export class Fragmentation {
  readonly #classes: readonly TargetClass[];

  /**
   * @param coverage the target workload is the most popular classes that make up this share of all tasks;
   * 0.95 in the paper's experiments. Memory is not considered.
   */
  constructor(workload: readonly TaskShape[], coverage = 0.95) {
    const counted = new Map<string, { task: TaskShape; count: number }>();
    for (const task of workload) {
      const key = shapeKey({ ...task, memoryMib: 0 });
      const known = counted.get(key);
      if (known) known.count += 1;
      else counted.set(key, { task, count: 1 });
    }
    const ranked = [...counted.values()].sort(
      (a, b) =>
        b.count - a.count ||
        b.task.cpuMilli - a.task.cpuMilli ||
        milliPerGpu(b.task) - milliPerGpu(a.task) ||
        b.task.gpuCount - a.task.gpuCount,
    );
    let covered = 0;
    const kept = ranked.filter(({ count }) => {
      const isNeeded = covered < coverage * workload.length;
      if (isNeeded) covered += count;
      return isNeeded;
    });
    this.#classes = kept.map(({ task, count }) => ({ ...task, popularity: count / covered }));
  }

  milli({ cpuMilli, kind, free }: NodeView): number {
    const total = free.reduce((sum, milli) => sum + milli, 0);
    if (total === 0) return 0;
    let fragmented = 0;
    for (const task of this.#classes) {
      fragmented += task.popularity * unusable(task, { cpuMilli, kind, free }, total);
    }
    return fragmented;
  }
}

function unusable(task: TaskShape, { cpuMilli, kind, free }: NodeView, total: number): number {
  if (task.gpuCount === 0 || cpuMilli < task.cpuMilli) return total;
  if (task.kinds.length > 0 && !task.kinds.includes(kind)) return total;
  const milli = milliPerGpu(task);
  let fitting = 0;
  let tooSmall = 0;
  for (const each of free) {
    if (each >= milli) fitting += 1;
    else tooSmall += each;
  }
  return fitting >= task.gpuCount ? tooSmall : total;
}

/** What is free after a task has taken a share of one GPU, or so many whole GPUs. */
export function freeAfter(free: readonly number[], task: TaskShape, gpu: number): readonly number[] {
  if (task.gpuCount === 0) return free;
  if (gpu >= 0) return free.with(gpu, (free[gpu] ?? 0) - milliPerGpu(task));
  let wanted = task.gpuCount;
  return free.map((milli) => {
    if (wanted === 0 || milli !== wholeGpuMilli) return milli;
    wanted -= 1;
    return 0;
  });
}
