import type { GpuId, ProviderId, UserId } from '@computefabric/protocol/ids';
import type { ProviderState } from '@computefabric/protocol/provider-state';

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
}

export interface GpuView {
  id: GpuId;
  name: string;
  memoryMib: number;
  simulated: boolean;
  free: boolean;
}

/** What a job asks of a machine. */
export interface JobNeeds {
  gpus: number;
  gpuModels: readonly string[];
  minVramMib: number;
  cpuMilli: number;
  memoryMib: number;
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

/** The GPUs of a machine that satisfy a job's model and memory, busy or not. */
export function fittingGpus(machine: MachineView, needs: JobNeeds): GpuView[] {
  return machine.gpus.filter(
    (gpu) =>
      gpu.memoryMib >= needs.minVramMib &&
      (needs.gpuModels.length === 0 || needs.gpuModels.some((model) => isModel(gpu.name, model))),
  );
}
