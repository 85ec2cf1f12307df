import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { shortGpu } from '../jobs/requirements-text.ts';
import { seconds } from '../jobs/flag-values.ts';
import { reliabilityText } from './machine-availability.ts';
import { plainText } from '../terminal/plain-text.ts';
import { table } from '../terminal/table.ts';
import { formatThere } from '@computefabric/protocol/grammar/sizes';
import { whyNoWork } from '@computefabric/protocol/owner-state';
import type { Machine } from '@computefabric/protocol/user-api/machines';

/** `machine list`: your own machines. */
export async function listMachines(cli: Cli): Promise<number> {
  const { items } = await (await cli.client()).machines.list();
  if (cli.json) {
    cli.printJson({ items });
    return exitCode('ok');
  }
  if (items.length === 0) {
    cli.say('You have no machines on this market.');
    cli.say(`  add one   ${cli.program} machine token`);
    return exitCode('ok');
  }
  const rows = items.map((machine) => [
    plainText(machine.name),
    stateText(machine),
    gpuCounts(
      machine.gpus.map(({ name, simulated }) => `${shortGpu(name)}${simulated ? ' (simulated)' : ''}`),
    ),
    `${machine.cpus}`,
    formatThere(machine.memory_mib),
    `${machine.running.length}`,
    money(machine.earned_micros),
    reliabilityText(machine.reliability),
    machine.last_seen_at ?? 'never',
  ]);
  const columns = [
    { title: 'MACHINE' },
    { title: 'STATE' },
    { title: 'GPUS' },
    { title: 'CPUS', align: 'right' as const },
    { title: 'MEMORY', align: 'right' as const },
    { title: 'JOBS', align: 'right' as const },
    { title: 'EARNED', align: 'right' as const },
    { title: 'RELIABLE', align: 'right' as const },
    { title: 'LAST SEEN' },
  ];
  for (const line of table(columns, rows)) cli.print(line);
  return exitCode('ok');
}

/** `online`, or `online, paused`, or `online, not lent now` with what the owner's rules say. */
function stateText({ state, availability, owner_notice: notice }: Machine): string {
  if (availability !== 'open') return `${state}, ${availability}`;
  return state === 'online' && whyNoWork(notice) !== null
    ? `${state}, not lent now (${notice?.reason})`
    : state;
}

/** `machine token`: a secret with which one machine can join, once. It is the data of this command. */
export async function createJoinToken(cli: Cli, flags: { expires?: string }): Promise<number> {
  const expires = flags.expires === undefined ? undefined : seconds(flags.expires, '--expires');
  if (expires !== undefined && (expires < 60 || expires > 86_400)) {
    throw usageError(`--expires "${flags.expires}" must be between 1m and 24h`);
  }
  const token = await (await cli.client()).machines.createJoinToken({ expires_in_seconds: expires });
  if (cli.json) {
    cli.printJson(token);
    return exitCode('ok');
  }
  cli.print(token.token);
  cli.say(`One machine can join with it, once, until ${token.expires_at}.`);
  cli.say('Give it to the agent on that machine as the variable PROVIDER_JOIN_TOKEN.');
  return exitCode('ok');
}

/** `2 × RTX 4090, 1 × A10` */
function gpuCounts(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(', ') || 'none';
}
