import type { Requirements } from '@computefabric/protocol/user-api/requirements';
import { plainText } from '../terminal/plain-text.ts';
import { formatAsked } from '@computefabric/protocol/grammar/sizes';

/** What a job asks of a machine, short: `1 × RTX 4090 ≥ 24 GB`, `CPU`. */
export function gpusText({ gpus, gpu_models, min_vram_mib }: Requirements): string {
  if (gpus === 0) return 'CPU';
  const model = gpu_models.length > 0 ? plainText(gpu_models.join(' or ')) : 'GPU';
  return `${gpus} × ${model}${min_vram_mib > 0 ? ` ≥ ${formatAsked(min_vram_mib)}` : ''}`;
}

/** The same with processors and memory. */
export function requirementsText(requirements: Requirements): string {
  const { cpus, memory_mib } = requirements;
  return `${gpusText(requirements)} · ${cpus} ${cpus === 1 ? 'core' : 'cores'} · ${formatAsked(memory_mib)} memory`;
}

/** GPU names without the maker, which is the same everywhere. */
export function shortGpu(name: string): string {
  return plainText(name).replace(/^NVIDIA (?:GeForce )?/i, '');
}
