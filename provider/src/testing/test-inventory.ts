import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';

/** A small machine without GPUs. */
export function testInventory(change: Partial<Inventory> = {}): Inventory {
  return {
    hostname: 'machine',
    os: 'linux',
    arch: 'x64',
    cpu_model: 'a processor',
    cpus: 4,
    memory_mib: 4_096,
    disk_free_mib: 10_000,
    docker_version: '28.0.0',
    gpus: [],
    price_per_gpu_hour_micros: '350000',
    price_per_cpu_hour_micros: '20000',
    spot_percent: 100,
    shares_gpus: false,
    move_grace_seconds: 600,
    region: '',
    cuda_version: null,
    networks: ['none', 'allowlist', 'internet'],
    network_note: '',
    disk_limited: true,
    disk_note: '',
    sandbox: 'containers',
    cached_images: [],
    ...change,
  };
}
