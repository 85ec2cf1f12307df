import { formatUsd } from '@computefabric/protocol/money';
import { unitPriceMicros } from '../pricing/price.ts';
import { fittingGpus, freeFittingGpus, isModel, type JobNeeds, type MachineView } from './machine-view.ts';

/** A rule that a machine must satisfy, with the words for those that fail it. */
export interface Filter {
  name: 'online' | 'gpus' | 'gpu-model' | 'vram' | 'cpus' | 'memory' | 'price' | 'busy';
  fails(machine: MachineView, needs: JobNeeds): boolean;
  /** Ends a sentence that begins with a number of machines. */
  sentence(needs: JobNeeds): string;
}

/**
 * All rules. `busy` alone is about the moment: a machine that fails only it will do once something ends, so
 * it speaks only of machines that would fit when idle.
 */
export const filters: readonly Filter[] = [
  {
    name: 'online',
    fails: (machine) => machine.state !== 'online',
    sentence: () => 'not online',
  },
  {
    name: 'gpus',
    fails: (machine, needs) => machine.gpus.length < needs.gpus,
    sentence: (needs) => `fewer than ${needs.gpus} GPU${needs.gpus === 1 ? '' : 's'}`,
  },
  {
    name: 'gpu-model',
    fails: (machine, needs) =>
      needs.gpus > 0 &&
      needs.gpuModels.length > 0 &&
      machine.gpus.length >= needs.gpus &&
      machine.gpus.filter((gpu) => needs.gpuModels.some((model) => isModel(gpu.name, model))).length <
        needs.gpus,
    sentence: (needs) => `no ${needs.gpuModels.join(' or ')}`,
  },
  {
    name: 'vram',
    fails: failsVram,
    sentence: (needs) => `less than ${askedGigabytes(needs.minVramMib)} of GPU memory`,
  },
  {
    name: 'cpus',
    fails: (machine, needs) => machine.cpuMilli < needs.cpuMilli,
    sentence: (needs) => `fewer than ${needs.cpuMilli / 1_000} CPU cores`,
  },
  {
    name: 'memory',
    fails: (machine, needs) => machine.memoryMib < needs.memoryMib,
    sentence: (needs) => `less than ${askedGigabytes(needs.memoryMib)} of memory`,
  },
  {
    name: 'price',
    fails: (machine, needs) => unitPriceMicros(needs, machine) > needs.maxPricePerHourMicros,
    sentence: (needs) =>
      `dearer than ${formatUsd(needs.maxPricePerHourMicros)} per ${needs.gpus > 0 ? 'GPU' : 'core'}-hour`,
  },
  {
    name: 'busy',
    fails: (machine, needs) =>
      fittingGpus(machine, needs).length >= needs.gpus &&
      machine.cpuMilli >= needs.cpuMilli &&
      machine.memoryMib >= needs.memoryMib &&
      (freeFittingGpus(machine, needs).length < needs.gpus ||
        machine.cpuMilliFree < needs.cpuMilli ||
        machine.memoryMibFree < needs.memoryMib),
    sentence: () => 'busy with other jobs',
  },
];

/** The rules that a machine fails for a job; none means that it could start there now. */
export function failedFilters(machine: MachineView, needs: JobNeeds): Filter[] {
  return filters.filter((filter) => filter.fails(machine, needs));
}

// Looks at the cards of the right model when there are enough of them, so that a machine with a big wrong
// card and a small right one is not taken for a fit.
function failsVram(machine: MachineView, needs: JobNeeds): boolean {
  if (needs.gpus === 0 || machine.gpus.length < needs.gpus) return false;
  const ofModel = fittingGpus(machine, { ...needs, minVramMib: 0 });
  const pool = ofModel.length >= needs.gpus ? ofModel : machine.gpus;
  return pool.filter((gpu) => gpu.memoryMib >= needs.minVramMib).length < needs.gpus;
}

/** MiB that somebody asked for, in the gigabytes that people write: 76294 MiB were "80GB". */
export function askedGigabytes(mib: number): string {
  return `${Math.round((mib * 1_048_576) / 1e8) / 10} GB`;
}

/**
 * MiB that are there, in the gigabytes that people buy: a card of 24564 MiB is "24 GB". Read back as a
 * requirement, the number is never more than what is there.
 */
export function offeredGigabytes(mib: number): string {
  const gb = (mib * 1_048_576) / 1e9;
  const nominal = Math.round(mib / 1_024); // cards are sold in GiB that are called GB
  if (nominal >= 1 && nominal <= gb) return `${nominal} GB`;
  return `${Math.floor(gb * 10) / 10} GB`;
}
