import type { GpuId, ProviderId, UserId } from '@computefabric/protocol/ids';
import type { JobClass } from '@computefabric/protocol/job-class';
import type { Availability, ProviderState } from '@computefabric/protocol/provider-state';
import type { TrustTier } from '@computefabric/protocol/trust-tier';

/** A machine as the matcher sees it: what it has, what is free of it, what it costs. */
export interface MachineView {
  id: ProviderId;
  ownerId: UserId;
  name: string;
  state: ProviderState;
  cpuMilli: number;
  cpuMilliFree: number;
  memoryMib: number;
  memoryMibFree: number;
  pricePerGpuHourMicros: bigint;
  pricePerCpuHourMicros: bigint;
  gpus: readonly GpuView[];
  /** Percent of the prices that a spot job pays. */
  spotPercent: number;
  sharesGpus: boolean;
  /** Empty when nobody named it. */
  region: string;
  cudaVersion: string | null;
  diskMibFree: number;
  tier: TrustTier;
  /** Thousandths of its tries that it brought to their end. */
  reliabilityMilli: number;
  cachedImages: readonly string[];
  availability: Availability;
  /** Milliseconds until it is expected to be taken away by its owner; null when no absence is planned. */
  awayInMs: number | null;
}

export interface GpuView {
  id: GpuId;
  name: string;
  memoryMib: number;
  simulated: boolean;
  driverVersion: string | null;
  computeCapability: string | null;
  /** What is not taken of it, thousandths. */
  freeMilli: number;
}

/** What a job asks of a machine. */
export interface JobNeeds {
  gpus: number;
  gpuModels: readonly string[];
  /** Share of the GPU, thousandths; below 1000 only with one GPU. */
  gpuMilli: number;
  minVramMib: number;
  maxVramMib: number | null;
  minComputeCapability: string | null;
  minDriver: string | null;
  minCuda: string | null;
  cpuMilli: number;
  memoryMib: number;
  diskMib: number;
  /** Any of these; empty is any. */
  regions: readonly string[];
  minReliabilityMilli: number;
  minTier: TrustTier;
  class: JobClass;
  /** Per GPU-hour, or per core-hour when `gpus` is 0. */
  maxPricePerHourMicros: bigint;
}

/**
 * Whether a card is of a model that a person named. Case, spaces and dashes do not matter, and the maker and
 * trailing words for memory or socket may be left out: `rtx4090` is `NVIDIA GeForce RTX 4090` and `A100` is
 * `NVIDIA A100 80GB PCIe`. Any other word counts: `RTX 4090` is not `RTX 4090 Laptop GPU`.
 */
export function isModel(cardName: string, model: string): boolean {
  const card = words(cardName);
  const asked = words(model);
  if (asked.length === 0) return false;
  // The model must end the name, apart from a memory size: "A100" is the card "NVIDIA A100 80GB PCIe".
  const ends = [card.length, ...trailingQualifiers(card)];
  return ends.some((end) => {
    const tail = card.slice(0, end).slice(-asked.length);
    return tail.length === asked.length && tail.every((word, index) => word === asked[index]);
  });
}

const qualifier = /^(\d+gb|pcie|sxm\d?|hbm\d+e?|nvl)$/;

function trailingQualifiers(card: readonly string[]): number[] {
  const ends: number[] = [];
  let end = card.length;
  while (end > 1 && qualifier.test(card[end - 1] ?? '')) {
    end -= 1;
    ends.push(end);
  }
  return ends;
}

function words(name: string): string[] {
  return name
    .toLowerCase()
    .replace(/([a-z])(\d{3,})/g, '$1 $2') // "RTX4090" is "RTX 4090"; "a100" becomes "a 100" on both sides
    .split(/[\s_-]+/)
    .filter((word) => word !== '');
}

/** The fitting GPUs that have the asked share free. */
export function freeFittingGpus(machine: MachineView, needs: JobNeeds): GpuView[] {
  return fittingGpus(machine, needs).filter((gpu) => gpu.freeMilli >= needs.gpuMilli);
}

/** The GPUs of a machine that satisfy a job's model and memory, busy or not. */
export function fittingGpus(machine: MachineView, needs: JobNeeds): GpuView[] {
  return machine.gpus.filter(
    (gpu) =>
      gpu.memoryMib >= needs.minVramMib &&
      (needs.gpuModels.length === 0 || needs.gpuModels.some((model) => isModel(gpu.name, model))),
  );
}

/** What a job asks that asks for nothing in particular, beside the given. */
export function needsWith(given: Partial<JobNeeds> & Pick<JobNeeds, 'maxPricePerHourMicros'>): JobNeeds {
  return {
    gpus: 0,
    gpuModels: [],
    gpuMilli: 1_000,
    minVramMib: 0,
    maxVramMib: null,
    minComputeCapability: null,
    minDriver: null,
    minCuda: null,
    cpuMilli: 1_000,
    memoryMib: 1_024,
    diskMib: 0,
    regions: [],
    minReliabilityMilli: 0,
    minTier: 'community',
    class: 'on-demand',
    ...given,
  };
}
