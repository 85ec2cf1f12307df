import { createHash } from 'node:crypto';
import type { GpuReport } from '@computefabric/protocol/provider-api/v1/inventory';

/** Cards that a machine may pretend; as many as a job may ask for, twice. */
const mostGpus = 16;

/**
 * Pretended GPUs from a list such as `2x NVIDIA GeForce RTX 4090:24564, 1x NVIDIA A100:81920` (count, name,
 * memory in MiB). Their ids are stable for a machine, and say what they are.
 *
 * @param machine what tells this machine from others, so that no two pretend the same card
 * @throws RangeError naming the part that is wrong and the form that is right
 */
export function simulatedGpus(list: string, machine: string): GpuReport[] {
  const cards = list
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .flatMap((part) => {
      const match = /^(?:(\d{1,2})\s*x\s+)?([^:]{1,100}):(\d{1,7})$/i.exec(part);
      const name = match?.[2]?.trim() ?? '';
      const count = Number(match?.[1] ?? 1);
      const memoryMib = Number(match?.[3]);
      if (name === '' || count < 1 || memoryMib < 1) {
        throw new RangeError(
          `PROVIDER_SIMULATED_GPUS: "${part}" must be like "2x NVIDIA GeForce RTX 4090:24564" (count, name, MiB)`,
        );
      }
      return Array.from({ length: count }, () => ({ name, memoryMib }));
    });
  if (cards.length > mostGpus) throw new RangeError(`PROVIDER_SIMULATED_GPUS: at most ${mostGpus} cards`);
  return cards.map(({ name, memoryMib }, index) => ({
    index,
    uuid: `SIM-GPU-${createHash('sha256').update(`${machine}\n${index}\n${name}`).digest('hex').slice(0, 32)}`,
    name,
    memory_mib: memoryMib,
    driver_version: null,
    compute_capability: null,
    simulated: true,
  }));
}
