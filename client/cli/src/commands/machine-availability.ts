import type { Client } from '@computefabric/api-client/client';
import { formatSeconds, parseDuration, parseSince } from '@computefabric/protocol/grammar/durations';
import { nearest } from '@computefabric/protocol/grammar/similar';
import { formatThere } from '@computefabric/protocol/grammar/sizes';
import { whyNoWork } from '@computefabric/protocol/owner-state';
import type { Machine } from '@computefabric/protocol/user-api/machines';
import type { Cli } from '../cli.ts';
import { CliError, usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { seconds } from '../jobs/flag-values.ts';
import { plainText } from '../terminal/plain-text.ts';

/** `machine show`: one machine, what is so and what you want of it. */
export async function showMachine(cli: Cli, reference: string): Promise<number> {
  const client = await cli.client();
  const machine = await findMachine(cli, client, reference);
  if (cli.json) {
    cli.printJson(machine);
    return exitCode('ok');
  }
  const facts: [string, string][] = [
    ['machine', `${plainText(machine.name)}   ${machine.id}`],
    ['state', machine.state],
    ['takes work', availabilityText(machine)],
    ...absenceFacts(machine),
    ['reliability', reliabilityText(machine.reliability)],
    ['GPUs', machine.gpus.map(({ name }) => plainText(name)).join(', ') || 'none'],
    ['CPUs', `${machine.cpus}`],
    ['memory', formatThere(machine.memory_mib)],
    ...protectionFacts(machine.protection),
    ['jobs', machine.running.map(({ job_id: job }) => job).join(', ') || 'none'],
    ['earned', money(machine.earned_micros)],
    ['last seen', machine.last_seen_at ?? 'never'],
  ];
  for (const [name, value] of facts) cli.print(`${name.padEnd(12)} ${value}`);
  return exitCode('ok');
}

function protectionFacts({
  networks,
  network_note: networkNote,
  disk_limited: diskLimited,
  disk_note: diskNote,
  sandbox,
}: Machine['protection']): [string, string][] {
  const because = (note: string) => (note === '' ? '' : `: ${plainText(note)}`);
  return [
    ['network', `${networks.join(', ')}${because(networkNote)}`],
    ['disk limit', diskLimited ? 'yes' : `no${because(diskNote)}`],
    ['jobs run in', sandbox === 'gvisor' ? 'gVisor' : 'containers'],
  ];
}

/** `machine pause`: no new work; what runs goes on. */
export async function pauseMachine(
  cli: Cli,
  reference: string,
  flags: { for?: string; reason?: string },
): Promise<number> {
  const forSeconds = flags.for === undefined ? null : seconds(flags.for, '--for');
  if (forSeconds === 0) throw usageError('--for must be longer than nothing');
  return await change(cli, reference, (client, machine) =>
    client.machines.pause(machine.id, { for_seconds: forSeconds, ...reasonOf(flags) }),
  );
}

/** `machine drain`: no new work, and empty by then. */
export async function drainMachine(
  cli: Cli,
  reference: string,
  flags: { within?: string; reason?: string },
): Promise<number> {
  const within = flags.within === undefined ? undefined : seconds(flags.within, '--within');
  return await change(cli, reference, (client, machine) =>
    client.machines.drain(machine.id, {
      ...(within === undefined ? {} : { within_seconds: within }),
      ...reasonOf(flags),
    }),
  );
}

/** `machine resume`: work again. */
export async function resumeMachine(cli: Cli, reference: string): Promise<number> {
  return await change(cli, reference, (client, machine) => client.machines.resume(machine.id));
}

/** `machine maintenance`: plans an absence, or takes it back. */
export async function planMaintenance(
  cli: Cli,
  reference: string,
  flags: { from?: string; until?: string; cancel?: boolean; reason?: string },
): Promise<number> {
  const { from, until } = flags;
  if (flags.cancel) {
    if (from !== undefined || until !== undefined)
      throw usageError('--cancel goes without --from and --until');
    return await change(cli, reference, (client, machine) => client.machines.cancelMaintenance(machine.id));
  }
  if (from === undefined || until === undefined) {
    throw usageError('needs --from and --until, or --cancel', 'such as --from 2h --until 5h');
  }
  const now = Date.now();
  const absence = { from: momentAhead(from, '--from', now), until: momentAhead(until, '--until', now) };
  return await change(cli, reference, (client, machine) =>
    client.machines.planMaintenance(machine.id, { ...absence, ...reasonOf(flags) }),
  );
}

/** What an owner wants of the machine, in a few words for a table or a line. */
export function availabilityText(machine: Machine): string {
  const why = machine.availability_reason === '' ? '' : ` (${plainText(machine.availability_reason)})`;
  switch (machine.availability) {
    case 'open': {
      const ownerWhy = whyNoWork(machine.owner_notice);
      if (ownerWhy === null) return 'yes';
      const until = machine.owner_notice?.until ?? null;
      return `not now: ${ownerWhy}${until ? ` Until ${until}, as far as is known.` : ''}`;
    }
    case 'paused':
      return `paused${machine.available_at ? ` until ${machine.available_at}` : ''}${why}`;
    case 'draining':
      return `draining${machine.vacate_by ? `, empty by ${machine.vacate_by}` : ''}${why}`;
  }
}

/** `98.2 %` */
export function reliabilityText(reliability: number): string {
  return `${(reliability * 100).toFixed(1)} %`;
}

function absenceFacts(machine: Machine): [string, string][] {
  if (!machine.away_from || !machine.away_until) return [];
  return [['away', `${machine.away_from} to ${machine.away_until}`]];
}

async function change(
  cli: Cli,
  reference: string,
  call: (client: Client, machine: Machine) => Promise<Machine>,
): Promise<number> {
  const client = await cli.client();
  const machine = await call(client, await findMachine(cli, client, reference));
  if (cli.json) {
    cli.printJson(machine);
    return exitCode('ok');
  }
  cli.say(`${plainText(machine.name)}: ${effectText(machine)}`);
  return exitCode('ok');
}

/** What the machine does from now on. */
function effectText(machine: Machine): string {
  const away =
    machine.away_from && machine.away_until
      ? ` Away from ${machine.away_from} to ${machine.away_until}: what still runs when that begins moves to other machines.`
      : '';
  const count = machine.running.length;
  const jobs =
    count === 1 ? 'Its job goes on.' : count === 0 ? 'It has no jobs.' : `Its ${count} jobs go on.`;
  switch (machine.availability) {
    case 'open': {
      const ownerWhy = whyNoWork(machine.owner_notice);
      if (ownerWhy === null) return `takes work.${away}`;
      return `takes work as soon as its owner's rules let it. Now: ${ownerWhy}${away}`;
    }
    case 'paused':
      return `takes no new work${machine.available_at ? ` until ${machine.available_at}` : ''}. ${jobs}${away}`;
    case 'draining':
      return `takes no new work. What still runs at ${machine.vacate_by ?? 'the end'} moves to other machines.${away}`;
  }
}

function reasonOf({ reason }: { reason?: string }): { reason?: string } {
  return reason === undefined ? {} : { reason };
}

/** A moment given as a duration from now (`2h`) or as a timestamp, in RFC 3339. */
function momentAhead(text: string, flag: string, nowMs: number): string {
  const ahead = parseDuration(text);
  const moment = ahead === null ? parseSince(text, nowMs) : new Date(nowMs + ahead * 1_000).toISOString();
  if (moment === null) {
    const example = `such as ${formatSeconds(7_200)} from now, or 2026-03-01T22:00:00Z`;
    throw usageError(`${flag} "${text}" is not a moment`, example);
  }
  return moment;
}

/** Your machine by name or id, or by the beginning of either when only one begins so. */
export async function findMachine(cli: Cli, client: Client, reference: string): Promise<Machine> {
  const { items } = await client.machines.list();
  const exact = items.find(({ id, name }) => id === reference || name === reference);
  if (exact) return exact;
  const matches = items.filter(({ id, name }) => id.startsWith(reference) || name.startsWith(reference));
  const [only] = matches;
  if (only && matches.length === 1) return only;
  const names = items.map(({ name }) => name);
  const similar = nearest(reference, names);
  throw new CliError({
    code: 'provider/not-found',
    message:
      matches.length > 1
        ? `${matches.length} of your machines begin with "${reference}"`
        : `you have no machine "${reference}"`,
    help: [
      ...(similar ? [`a similar machine exists: ${similar}`] : []),
      `see your machines:        ${cli.program} machine list`,
    ],
    exit: 'usage',
    retry: 'never',
  });
}
