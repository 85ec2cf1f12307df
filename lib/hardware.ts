import { countOf, formatMemory } from './format-size.ts';

/** `NVIDIA GeForce RTX 4090` → `RTX 4090`: the maker's name says nothing in a list of that maker's cards. */
export function shortGpuName(name: string): string {
  return name.replace(/^NVIDIA\s+/i, '').replace(/^GeForce\s+/i, '');
}

/** What a machine brings: `2 × RTX 4090`, or `CPU only`. Mixed cards are named one by one. */
export function describeGpus(names: readonly string[]): string {
  if (names.length === 0) return 'CPU only';
  const counts = new Map<string, number>();
  for (const name of names) counts.set(shortGpuName(name), (counts.get(shortGpuName(name)) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(', ');
}

/** What a job asks for: `2 × GPU ≥ 24 GB`, `1 × A100 or H100`, `2 cores`. */
export function describeNeeds(needs: {
  gpus: number;
  gpuModels: readonly string[];
  minVramMib: number;
  cpuMilli: number;
}): string {
  if (needs.gpus === 0) return countOf(needs.cpuMilli / 1_000, 'core');
  const model = needs.gpuModels.length > 0 ? needs.gpuModels.map(shortGpuName).join(' or ') : 'GPU';
  return `${needs.gpus} × ${model}${needs.minVramMib > 0 ? ` ≥ ${formatMemory(needs.minVramMib)}` : ''}`;
}
