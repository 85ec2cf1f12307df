import { statfs } from 'node:fs/promises';
import { arch, cpus, hostname, release } from 'node:os';
import { limits } from '@computefabric/protocol/limits';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import type { ProviderConfig } from '../config.ts';
import type { ContainerDriver } from '../container/container-driver.ts';
import { findCudaVersion, findNvidiaGpus } from './nvidia-smi.ts';
import { simulatedGpus } from './simulated-gpus.ts';

const bytesPerMib = 1_048_576;

/** Names of images that are told to the market: what a hello takes. */
const mostImages = 256;

type Offered = Pick<
  ProviderConfig,
  | 'home'
  | 'offered'
  | 'prices'
  | 'simulatedGpus'
  | 'spotPercent'
  | 'sharesGpus'
  | 'moveGraceSeconds'
  | 'region'
>;

/**
 * Looks at the machine: what is offered is what was seen, less what the owner keeps.
 *
 * @throws NvidiaSmiError, RangeError (simulated GPUs) or ContainerError (the engine), each saying what to do
 */
export async function discoverInventory(config: Offered, driver: ContainerDriver): Promise<Inventory> {
  const [engine, realGpus, cudaVersion, diskFreeMib, images, network, kept] = await Promise.all([
    driver.ping(),
    findNvidiaGpus(),
    findCudaVersion(),
    freeDiskMib(config.home),
    driver.imageNames(mostImages),
    driver.networks(),
    driver.protections(),
  ]);
  // A card that no job can be given is nothing to offer.
  const offeredGpus = kept.sandbox.passesGpus ? realGpus : [];
  const simulated = simulatedGpus(config.simulatedGpus, config.home + hostname());
  return {
    hostname: hostname().slice(0, 255),
    os: engine.operatingSystem.slice(0, 128) || release(),
    arch: arch(),
    cpu_model: (cpus()[0]?.model ?? 'unknown').trim().slice(0, 128),
    // Tasks run where the engine is, which may have less than this process sees.
    cpus: Math.min(config.offered.cpus, engine.cpus),
    memory_mib: Math.min(config.offered.memoryMib, Math.floor(engine.memoryBytes / bytesPerMib)),
    disk_free_mib: diskFreeMib,
    docker_version: engine.version.slice(0, 64),
    gpus: [...offeredGpus, ...simulated.map((gpu) => ({ ...gpu, index: gpu.index + realGpus.length }))],
    price_per_gpu_hour_micros: config.prices.perGpuHourMicros.toString(),
    price_per_cpu_hour_micros: config.prices.perCpuHourMicros.toString(),
    spot_percent: config.spotPercent,
    shares_gpus: config.sharesGpus,
    move_grace_seconds: config.moveGraceSeconds,
    region: config.region,
    cuda_version: cudaVersion,
    networks: network.modes,
    network_note: network.note?.slice(0, 300) ?? '',
    disk_limited: kept.diskLimit.holds,
    disk_note: kept.diskLimit.note?.slice(0, 300) ?? '',
    sandbox: kept.sandbox.kind,
    cached_images: images.filter((name) => name.length <= limits.imageChars),
  };
}

/** Free space where the agent keeps its spool; the engine's own disk may be another. */
async function freeDiskMib(path: string): Promise<number> {
  const disk = await statfs(path);
  return Math.floor((disk.bavail * disk.bsize) / bytesPerMib);
}
