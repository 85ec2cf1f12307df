import type { GpuId, JobId, LeaseId, ProviderId, UserId } from '@computefabric/protocol/ids';
import type { GpuView, MachineView, RunningLease } from '../matching/machine-view.ts';

/** A machine as the matcher sees it: online, free, with an RTX 4090 of 24 GB that says all about itself. */
export function testMachine(name: string, change: Partial<MachineView> = {}): MachineView {
  return {
    id: `prov_${name}` satisfies ProviderId,
    ownerId: 'user_owner' satisfies UserId,
    name,
    state: 'online',
    cpuMilli: 16_000,
    cpuMilliFree: 16_000,
    memoryMib: 65_536,
    memoryMibFree: 65_536,
    pricePerGpuHourMicros: 350_000n,
    pricePerCpuHourMicros: 20_000n,
    gpus: [testCard(name)],
    spotPercent: 100,
    sharesGpus: false,
    region: 'eu-west',
    cudaVersion: '12.2',
    networks: ['none', 'allowlist', 'internet'],
    protection: { network_note: '', disk_limited: true, disk_note: '', sandbox: 'containers' },
    diskMibFree: 100_000,
    tier: 'verified',
    reliabilityMilli: 950,
    cachedImages: [],
    availability: 'open',
    ownerAccepts: true,
    awayInMs: null,
    restsInMs: null,
    running: [],
    ...change,
  };
}

let cards = 0;

export function testCard(machine: string, change: Partial<GpuView> = {}): GpuView {
  cards += 1;
  return {
    id: `gpu_${machine}${cards}` satisfies GpuId,
    name: 'NVIDIA GeForce RTX 4090',
    memoryMib: 24_564,
    simulated: true,
    driverVersion: '535.104.05',
    computeCapability: '8.9',
    freeMilli: 1_000,
    ...change,
  };
}

/** The machine with a try that has all its GPUs for so long. */
export function busyMachine(machine: MachineView, minutes: number): MachineView {
  const lease: RunningLease = {
    id: `lease_${machine.name}` satisfies LeaseId,
    jobId: `job_of_${machine.name}` satisfies JobId,
    userId: 'user_other' satisfies UserId,
    gpuIds: machine.gpus.map(({ id }) => id),
    gpuMilli: 1_000,
    cpuMilli: 1_000,
    memoryMib: 1_024,
    diskMib: 0,
    spot: false,
    stopping: false,
    endsInMs: minutes * 60_000,
  };
  return {
    ...machine,
    cpuMilliFree: machine.cpuMilliFree - lease.cpuMilli,
    memoryMibFree: machine.memoryMibFree - lease.memoryMib,
    gpus: machine.gpus.map((gpu) => ({ ...gpu, freeMilli: 0 })),
    running: [...machine.running, lease],
  };
}
