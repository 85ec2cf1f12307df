import type { Offer } from '@computefabric/protocol/user-api/quotes';
import type { Cli } from '../cli.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { shortGpu } from '../jobs/requirements-text.ts';
import { sizeMib, whole } from '../jobs/flag-values.ts';
import { plainText } from '../terminal/plain-text.ts';
import { table } from '../terminal/table.ts';
import { reliabilityText } from './machine-availability.ts';
import { formatThere } from '@computefabric/protocol/grammar/sizes';

export interface OffersFlags {
  gpus?: string;
  gpu?: string;
  vram?: string;
}

/** `offers`: the machines on the market. */
export async function listOffers(cli: Cli, flags: OffersFlags): Promise<number> {
  const query = {
    gpus: flags.gpus === undefined ? undefined : whole(flags.gpus, '--gpus'),
    gpu_model: flags.gpu,
    min_vram_mib: flags.vram === undefined ? undefined : sizeMib(flags.vram, '--vram'),
  };
  const { items } = await (await cli.client()).offers.list(query);
  if (cli.json) {
    cli.printJson({ items });
    return exitCode('ok');
  }
  if (items.length === 0) cli.say('No machine on the market is like that.');
  else for (const line of offersTable(items)) cli.print(line);
  return exitCode('ok');
}

function offersTable(items: readonly Offer[]): string[] {
  return table(
    [
      { title: 'MACHINE' },
      { title: 'GPU' },
      { title: 'VRAM', align: 'right' },
      { title: 'FREE', align: 'right' },
      { title: 'CPUS', align: 'right' },
      { title: 'MEMORY', align: 'right' },
      { title: 'GPU/H', align: 'right' },
      { title: 'CORE/H', align: 'right' },
      { title: 'RELIABLE', align: 'right' },
      { title: 'NETWORK' },
      { title: 'STATE' },
    ],
    items.map((offer) => [
      plainText(offer.provider_name),
      offerGpu(offer),
      offer.vram_mib === null ? '–' : formatThere(offer.vram_mib),
      `${offer.gpus_free} of ${offer.gpus_total}`,
      `${offer.cpus_free} of ${offer.cpus_total}`,
      formatThere(offer.memory_free_mib),
      offer.gpu === null ? '–' : money(offer.price_per_gpu_hour_micros),
      money(offer.price_per_cpu_hour_micros),
      reliabilityText(offer.reliability),
      networkText(offer.protection),
      offer.availability === 'open' ? offer.state : offer.availability,
    ]),
  );
}

/** The most that a job may reach there. */
function networkText({ networks }: Offer['protection']): string {
  if (networks.includes('internet')) return 'internet';
  return networks.includes('allowlist') ? 'named servers' : 'none';
}

/** A machine's GPU model, marked where it is pretended. */
export function offerGpu(offer: Pick<Offer, 'gpu' | 'simulated'>): string {
  if (offer.gpu === null) return 'none';
  return `${shortGpu(offer.gpu)}${offer.simulated ? ' (simulated)' : ''}`;
}
