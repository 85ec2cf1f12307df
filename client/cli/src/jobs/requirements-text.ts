import type { Requirements } from '@computefabric/protocol/user-api/requirements';
import { plainText } from '../terminal/plain-text.ts';
import { formatPercent, formatShare } from '@computefabric/protocol/grammar/quantities';
import { formatAsked, formatThere } from '@computefabric/protocol/grammar/sizes';

/** What a job asks of a machine, short: `1 × RTX 4090 ≥ 24 GB`, `0.25 × GPU`, `CPU`. */
export function gpusText({ gpus, gpu_models, gpu_milli, min_vram_mib, max_vram_mib }: Requirements): string {
  if (gpus === 0) return 'CPU';
  const count = gpu_milli < 1_000 ? formatShare(gpu_milli) : `${gpus}`;
  const model = gpu_models.length > 0 ? plainText(gpu_models.join(' or ')) : 'GPU';
  const least = min_vram_mib > 0 ? ` ≥ ${formatAsked(min_vram_mib)}` : '';
  return `${count} × ${model}${least}${max_vram_mib === null ? '' : ` ≤ ${formatThere(max_vram_mib)}`}`;
}

/** The same with processors and memory, and what else is asked for. */
export function requirementsText(requirements: Requirements): string {
  const { cpus, memory_mib, disk_mib, regions, min_reliability, min_tier } = requirements;
  const { min_compute_capability, min_driver, min_cuda } = requirements;
  return [
    gpusText(requirements),
    `${cpus} ${cpus === 1 ? 'core' : 'cores'}`,
    `${formatAsked(memory_mib)} memory`,
    ...(disk_mib > 0 ? [`${formatAsked(disk_mib)} disk`] : []),
    ...(min_compute_capability === null ? [] : [`compute capability ≥ ${min_compute_capability}`]),
    ...(min_driver === null ? [] : [`driver ≥ ${min_driver}`]),
    ...(min_cuda === null ? [] : [`CUDA ≥ ${min_cuda}`]),
    ...(regions.length > 0 ? [`in ${regions.join(' or ')}`] : []),
    ...(min_reliability > 0 ? [`reliability ≥ ${formatPercent(min_reliability)}`] : []),
    ...(min_tier === 'community' ? [] : [min_tier]),
  ].join(' · ');
}

/** GPU names without the maker, which is the same everywhere. */
export function shortGpu(name: string): string {
  return plainText(name).replace(/^NVIDIA (?:GeForce )?/i, '');
}
