import type { GpuId, JobId, LeaseId, ProviderId, UserId } from '@computefabric/protocol/ids';
import type { JobClass } from '@computefabric/protocol/job-class';
import type { NetworkMode } from '@computefabric/protocol/network';
import type { Availability, ProviderState } from '@computefabric/protocol/provider-state';
import type { Protection } from '@computefabric/protocol/protection';
import type { TrustTier } from '@computefabric/protocol/trust-tier';
import { type Card, cardRule } from './card-rule.ts';

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
  /** What jobs may reach from it. */
  networks: readonly NetworkMode[];
  /** What keeps jobs apart there: told to renters, and no rule of matching. */
  protection: Omit<Protection, 'networks'>;
  diskMibFree: number;
  tier: TrustTier;
  /** Thousandths of its tries that it brought to their end. */
  reliabilityMilli: number;
  cachedImages: readonly string[];
  availability: Availability;
  /** The owner's rules on the machine let it take work now. */
  ownerAccepts: boolean;
  /** Milliseconds until it is expected to be taken away by its owner; null when no absence is planned. */
  awayInMs: number | null;
  /** Milliseconds until it is offered something again, after offers that it did not take; null at all other times. */
  restsInMs: number | null;
  /** The tries that it has now. */
  running: readonly RunningLease[];
}

/** What a try takes of its machine, and until when at the latest. */
export interface RunningLease {
  id: LeaseId;
  jobId: JobId;
  userId: UserId;
  gpuIds: readonly GpuId[];
  gpuMilli: number;
  cpuMilli: number;
  memoryMib: number;
  diskMib: number;
  /** May be told to give way to an on-demand job. */
  spot: boolean;
  /** Is to stop already. */
  stopping: boolean;
  /** Milliseconds until it has ended at the latest, by its time limit or the moment by which it must stop. */
  endsInMs: number;
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
  /** What the program may reach. */
  networkMode: NetworkMode;
  class: JobClass;
  /** Per GPU-hour, or per core-hour when `gpus` is 0. */
  maxPricePerHourMicros: bigint;
  timeLimitSeconds: number;
  /** Set when the job's state is saved, so that it may move to another machine. */
  checkpoint: { every_seconds: number } | null;
}

/** The fitting GPUs that have the asked share free. */
export function freeFittingGpus(machine: MachineView, needs: JobNeeds): GpuView[] {
  return fittingGpus(machine, needs).filter((gpu) => gpu.freeMilli >= needs.gpuMilli);
}

/** The GPUs of a machine that a job accepts, busy or not. */
export function fittingGpus(machine: MachineView, needs: JobNeeds): GpuView[] {
  return machine.gpus.filter((gpu) => suits(gpu, needs));
}

/** Whether a card is one that the job accepts, whatever is free of it. */
export function suits(gpu: Card, needs: JobNeeds): boolean {
  return cardRule(needs).suits(gpu);
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
    networkMode: 'none',
    class: 'on-demand',
    timeLimitSeconds: 3_600,
    checkpoint: null,
    ...given,
  };
}
