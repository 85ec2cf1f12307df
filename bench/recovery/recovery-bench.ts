import { parseArgs } from 'node:util';
import type { Client } from '@computefabric/api-client/client';
import { type Market, startMarket } from '../../tests/journeys/market.ts';
import { type Program, until } from '../../tests/journeys/program.ts';
import { measuredOn, printTable, quantile, writeJson } from '../report.ts';

const usage = `npm run bench -- recovery [--rounds 5] [--lease-seconds 5] [--every-seconds 5] [--json FILE]

A job that saves its state runs on one of two machines, and that machine goes: its agent is killed
(unannounced), or drained by its owner (announced), turn by turn. Until the program runs on the other machine, and
how much of its work it has to do again.`;

/** One step of the program. */
const stepSeconds = 0.2;
const program = `n=$(cat /state/n 2>/dev/null || echo 0); while true; do echo $n; n=$((n+1)); echo $n > /state/m; mv /state/m /state/n; sleep ${stepSeconds}; done`;

interface Departure {
  seconds: number;
  lostSeconds: number;
}

export async function recoveryBench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: 'string', default: '5' },
      'lease-seconds': { type: 'string', default: '5' },
      'every-seconds': { type: 'string', default: '5' },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const [rounds, leaseSeconds, everySeconds] = [
    values.rounds,
    values['lease-seconds'],
    values['every-seconds'],
  ].map(Number);
  if (!rounds || !leaseSeconds || !everySeconds) throw new Error(usage);
  const market = await startMarket({ leaseTtlSeconds: leaseSeconds, env: { NODE_ENV: 'production' } });
  const unannounced: Departure[] = [];
  const announced: Departure[] = [];
  try {
    const agents = new Map<string, Program>();
    for (const name of ['east', 'west']) agents.set(name, await market.startProvider(name));
    for (let round = 0; round < rounds; round += 1) {
      unannounced.push(await depart(market, everySeconds, (machine) => kill(market, agents, machine)));
      announced.push(await depart(market, everySeconds, (machine) => drain(market.client, machine)));
    }
  } finally {
    await market.close();
  }
  report({ unannounced, announced }, { leaseSeconds, everySeconds }, values.json);
}

function report(
  kinds: Record<string, Departure[]>,
  terms: { leaseSeconds: number; everySeconds: number },
  file: string | undefined,
): void {
  const seconds = (values: number[], share: number) => quantile(values, share).toFixed(1);
  const { leaseSeconds, everySeconds } = terms;
  console.log(`Lease time ${leaseSeconds} s, state saved every ${everySeconds} s.\n`);
  printTable(
    ['departure', 'until the next start, s: p50', 'worst', 'work lost, s: p50', 'worst'],
    Object.entries(kinds).map(([kind, departures]) => {
      const [times, lost] = [
        departures.map((each) => each.seconds),
        departures.map((each) => each.lostSeconds),
      ];
      return [kind, seconds(times, 0.5), seconds(times, 1), seconds(lost, 0.5), seconds(lost, 1)];
    }),
  );
  if (file !== undefined) writeJson(file, { ...measuredOn(), ...terms, ...kinds });
}

/** Puts right what was done to the machine. */
type Restore = () => Promise<void>;

/** One job, the departure of its machine, and the job's next start elsewhere. */
async function depart(
  { client, image }: Market,
  everySeconds: number,
  leave: (machine: string) => Promise<Restore>,
): Promise<Departure> {
  const { id } = await client.jobs.create({
    image,
    command: program,
    requirements: { gpus: 1, cpus: 0.5, memory_mib: 64 },
    checkpoint: { path: '/state', every_seconds: everySeconds },
    time_limit_seconds: 3_600,
    stop_grace_seconds: 5,
  });
  // Long enough for some saves, and not always at the same distance from one.
  const steps = ((2 + Math.random()) * everySeconds) / stepSeconds;
  const before = await until('the program to have done some work', 300, async () => {
    const at = await lastStep(client, id, 1);
    return at !== null && at >= steps ? at : null;
  });
  const machine = (await client.jobs.get(id)).leases.at(-1)?.provider.name ?? '';
  const leftAt = Date.now();
  const restore = await leave(machine);
  const next = await until('the next start', 300, async () =>
    (await client.jobs.get(id)).leases.find(({ attempt, started_at }) => attempt > 1 && started_at !== null),
  );
  const first = await until('its first step', 60, () => firstStep(client, id, next.attempt));
  const reached = Math.max(before, (await lastStep(client, id, 1)) ?? 0);
  await client.jobs.cancel(id);
  await restore();
  return {
    seconds: (Date.parse(next.started_at ?? '') - leftAt) / 1_000,
    lostSeconds: Math.max(0, reached - first.step) * stepSeconds,
  };
}

/** kill -9 of the agent; its watchdog stays and removes the container when the lease time is over. */
async function kill(market: Market, agents: Map<string, Program>, machine: string): Promise<Restore> {
  const agent = agents.get(machine);
  if (!agent) throw new Error(`there is no machine ${machine}`);
  agent.kill('SIGKILL');
  await agent.finished(10);
  return async () => {
    agents.set(machine, await market.startProvider(machine));
  };
}

async function drain(client: Client, machine: string): Promise<Restore> {
  const found = (await client.machines.list()).items.find(({ name }) => name === machine);
  if (!found) throw new Error(`there is no machine ${machine}`);
  await client.machines.drain(found.id, { reason: 'bench', within_seconds: 0 });
  return async () => {
    await client.machines.resume(found.id);
  };
}

async function stepsOf(client: Client, id: string, attempt: number): Promise<number[]> {
  let text = '';
  for await (const { entries } of client.logs.all(id, { attempt })) {
    for (const { stream, data } of entries) if (stream === 'stdout') text += data;
  }
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

async function lastStep(client: Client, id: string, attempt: number): Promise<number | null> {
  return (await stepsOf(client, id, attempt)).at(-1) ?? null;
}

async function firstStep(client: Client, id: string, attempt: number): Promise<{ step: number } | null> {
  const [step] = await stepsOf(client, id, attempt);
  return step === undefined ? null : { step };
}
