import type { GpuId, JobId, ProviderId } from '@computefabric/protocol/ids';
import { ratePerHourMicros } from '../pricing/price.ts';
import { failedFilters } from './filters.ts';
import { fittingGpus, type GpuView, type JobNeeds, type MachineView } from './machine-view.ts';

/** A job that waits. */
export interface QueuedJob {
  id: JobId;
  needs: JobNeeds;
  /** The machine of its last try, when that try failed for the machine's sake. */
  avoid: ProviderId | null;
}

/** A proposal: the grant checks it again under lock before it becomes true. */
export interface Placement {
  jobId: JobId;
  providerId: ProviderId;
  gpuIds: GpuId[];
  ratePerHourMicros: bigint;
}

/**
 * Places waiting jobs, in their order, on machines. Pure: works on its own copy of what is free, so that two
 * jobs of one call are never placed on the same GPU. A job that fits nowhere now is passed over.
 */
export function match(queue: readonly QueuedJob[], machines: readonly MachineView[]): Placement[] {
  const view = machines.map((machine) => ({ ...machine, gpus: machine.gpus.map((gpu) => ({ ...gpu })) }));
  const placements: Placement[] = [];
  for (const job of queue) {
    const machine = rank(job.needs, view, job.avoid)[0];
    if (!machine) continue;
    const chosen = chooseGpus(machine, job.needs);
    const taken = view.find((candidate) => candidate.id === machine.id);
    if (!taken) continue;
    for (const gpu of taken.gpus) if (chosen.includes(gpu.id)) gpu.free = false;
    taken.cpuMilliFree -= job.needs.cpuMilli;
    taken.memoryMibFree -= job.needs.memoryMib;
    placements.push({
      jobId: job.id,
      providerId: machine.id,
      gpuIds: chosen,
      ratePerHourMicros: ratePerHourMicros(job.needs, machine),
    });
  }
  return placements;
}

/** The machines that could start a job now, best first. */
export function rank<M extends MachineView>(
  needs: JobNeeds,
  machines: readonly M[],
  avoid: ProviderId | null = null,
): M[] {
  return machines
    .filter((machine) => failedFilters(machine, needs).length === 0)
    .map((machine) => ({ machine, key: sortKey(machine, needs, avoid) }))
    .sort((a, b) => compareKeys(a.key, b.key))
    .map(({ machine }) => machine);
}

/**
 * What decides between machines that all fit, most important first: not the machine that has just failed
 * this job; the cheaper one; the one that wastes less GPU memory; the one with fewer free GPUs, which keeps
 * whole machines free for bigger jobs; then the id, so that equal views give equal answers.
 */
function sortKey(machine: MachineView, needs: JobNeeds, avoid: ProviderId | null): (bigint | string)[] {
  const fitting = fittingGpus(machine, needs).filter((gpu) => gpu.free);
  const smallest = fitting.reduce((least, gpu) => Math.min(least, gpu.memoryMib), Number.MAX_SAFE_INTEGER);
  return [
    machine.id === avoid ? 1n : 0n,
    ratePerHourMicros(needs, machine),
    needs.gpus > 0 ? BigInt(smallest) : 0n,
    BigInt(machine.gpus.filter((gpu) => gpu.free).length),
    machine.id,
  ];
}

function compareKeys(a: readonly (bigint | string)[], b: readonly (bigint | string)[]): number {
  for (const [index, left] of a.entries()) {
    const right = b[index];
    if (right === undefined || left === right) continue;
    return left < right ? -1 : 1;
  }
  return 0;
}

/** The smallest fitting free cards: bigger ones stay free for jobs that need them. */
function chooseGpus(machine: MachineView, needs: JobNeeds): GpuId[] {
  return fittingGpus(machine, needs)
    .filter((gpu) => gpu.free)
    .sort((a: GpuView, b: GpuView) => a.memoryMib - b.memoryMib || (a.id < b.id ? -1 : 1))
    .slice(0, needs.gpus)
    .map((gpu) => gpu.id);
}
