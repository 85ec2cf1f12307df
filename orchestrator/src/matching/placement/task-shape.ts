/** Thousandths of a GPU in one GPU. */
export const wholeGpuMilli = 1_000;

/** What a task takes from the node it runs on. Two tasks of equal shape are interchangeable to placement. */
export interface TaskShape {
  cpuMilli: number;
  memoryMib: number;
  /** 0 to 8, all on one node. */
  gpuCount: number;
  /** The share of its GPU in thousandths, 1 to 1000, when `gpuCount` is 1; otherwise GPUs are taken whole. */
  gpuMilli: number;
  /** Kinds of GPU that will do; empty means any. */
  kinds: readonly string[];
}

/** Thousandths that the task takes of each of its GPUs. */
export function milliPerGpu(task: Pick<TaskShape, 'gpuCount' | 'gpuMilli'>): number {
  if (task.gpuCount === 0) return 0;
  return task.gpuCount === 1 ? task.gpuMilli : wholeGpuMilli;
}

/** Thousandths of a GPU that the task takes in all. */
export function totalGpuMilli(task: Pick<TaskShape, 'gpuCount' | 'gpuMilli'>): number {
  return task.gpuCount * milliPerGpu(task);
}

/** Whether the task takes less than a whole GPU, and so needs a node whose owner allows sharing. */
export function isShare(task: Pick<TaskShape, 'gpuCount' | 'gpuMilli'>): boolean {
  return task.gpuCount === 1 && task.gpuMilli < wholeGpuMilli;
}

/** Equal for tasks that placement cannot tell apart. */
export function shapeKey(task: TaskShape): string {
  const kinds = task.kinds.length > 1 ? [...task.kinds].sort().join('|') : (task.kinds[0] ?? '');
  return `${task.cpuMilli},${task.memoryMib},${task.gpuCount},${milliPerGpu(task)},${kinds}`;
}
