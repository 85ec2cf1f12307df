import { providerId } from '@computefabric/protocol/ids';
import { nearest } from '@computefabric/protocol/grammar/similar';
import { trustTier, trustTiers } from '@computefabric/protocol/trust-tier';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { plainText } from '../terminal/plain-text.ts';

/** `machine tier`: how far the operator vouches for a machine. Names are an owner's own, so it takes an id. */
export async function setMachineTier(cli: Cli, id: string, tier: string): Promise<number> {
  const machine = providerId.safeParse(id);
  if (!machine.success) throw usageError(`"${id}" is not the id of a machine`, 'ids begin with prov_');
  const known = trustTier.safeParse(tier);
  if (!known.success) {
    const similar = nearest(tier, trustTiers);
    throw usageError(
      `"${tier}" is not a tier`,
      similar ? `a similar one exists: ${similar}` : `there are ${trustTiers.join(', ')}`,
    );
  }
  const changed = await (await cli.client()).machines.setTier(machine.data, known.data);
  if (cli.json) cli.printJson(changed);
  else cli.print(`${plainText(changed.name)} is ${changed.tier}.`);
  return exitCode('ok');
}
