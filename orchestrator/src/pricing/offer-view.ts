import type { Offer } from '@computefabric/protocol/user-api/quotes';
import type { MachineView } from '../matching/machine-view.ts';

/** A machine as the market shows it. Its GPUs' memory is that of the smallest, which every job can count on. */
export function viewOffer(machine: MachineView): Offer {
  const models = [...new Set(machine.gpus.map((gpu) => gpu.name))];
  return {
    provider_id: machine.id,
    provider_name: machine.name,
    state: machine.state,
    // What it takes is what renters ask for; whose word it is that says no is not their business.
    availability: machine.availability === 'open' && !machine.ownerAccepts ? 'paused' : machine.availability,
    reliability: machine.reliabilityMilli / 1_000,
    gpu: models.length === 0 ? null : models.join(', '),
    vram_mib: machine.gpus.length === 0 ? null : Math.min(...machine.gpus.map((gpu) => gpu.memoryMib)),
    gpus_total: machine.gpus.length,
    gpus_free: machine.gpus.filter((gpu) => gpu.freeMilli === 1_000).length,
    simulated: machine.gpus.some((gpu) => gpu.simulated),
    cpus_total: machine.cpuMilli / 1_000,
    cpus_free: Math.max(machine.cpuMilliFree, 0) / 1_000,
    memory_total_mib: machine.memoryMib,
    memory_free_mib: Math.max(machine.memoryMibFree, 0),
    protection: { networks: [...machine.networks], ...machine.protection },
    price_per_gpu_hour_micros: String(machine.pricePerGpuHourMicros),
    price_per_cpu_hour_micros: String(machine.pricePerCpuHourMicros),
  };
}
