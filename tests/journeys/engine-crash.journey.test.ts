import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { auditBooks } from './books.ts';
import { ensureTestImage } from './engine.ts';
import { type Market, startMarket } from './market.ts';
import { canStartEngines, OwnEngine } from './own-engine.ts';
import { until } from './program.ts';

let market: Market;
let engine: OwnEngine | undefined;

beforeEach(async () => {
  market = await startMarket({ leaseTtlSeconds: 10 });
});
afterEach(async () => {
  await market.close();
  await engine?.close();
  engine = undefined;
});

/** An engine of its own with the image on it, and a machine that uses it. */
async function machineOn({ keepsContainers }: { keepsContainers: boolean }): Promise<OwnEngine> {
  engine = new OwnEngine({ keepsContainers });
  await engine.start();
  await ensureTestImage(engine.host);
  await market.startProvider('otter', { DOCKER_HOST: engine.host });
  return engine;
}

/** Numbered lines, fifty a second: a gap or a repeat shows. */
const countTo = (lines: number) =>
  `i=0; while [ $i -lt ${lines} ]; do echo n $i; i=$((i+1)); sleep 0.02; done`;
const numbered = (lines: number) => Array.from({ length: lines }, (_, at) => `n ${at}\n`).join('');

async function submit(name: string, command: string): Promise<void> {
  const args = ['submit', '--yes', '--detach', '--name', name, '--image', market.image, '--gpus', '1'];
  const submitted = await market.cfab([...args, '--command', command]).finished(60);
  expect(submitted.code, submitted.stderr).toBe(0);
}

async function output(name: string, attempt: number): Promise<string> {
  let text = '';
  for await (const { entries } of market.client.logs.all(name, { attempt }))
    for (const { stream, data } of entries) if (stream === 'stdout') text += data;
  return text;
}

async function running(name: string): Promise<void> {
  await until('output', 60, async () => (await output(name, 1)).includes('n 20\n'));
}

async function ended(name: string) {
  await until(
    'the end of the job',
    90,
    async () => (await market.client.jobs.get(name)).finished_at !== null,
  );
  await until(
    'the bill',
    20,
    async () => (await market.client.jobs.get(name)).cost.payment_state === 'succeeded',
  );
  return await market.client.jobs.get(name);
}

describe.runIf(canStartEngines)('the engine is killed while a program runs', () => {
  test('and keeps containers: the program goes on, no line is lost or doubled, one try and one bill', async () => {
    const dockerd = await machineOn({ keepsContainers: true });
    await submit('kept', countTo(500));
    await running('kept');
    await dockerd.kill();
    await dockerd.start();
    const job = await ended('kept');
    expect(job.state, JSON.stringify(job.leases)).toBe('succeeded');
    expect(job.leases).toHaveLength(1);
    expect(await output('kept', 1)).toBe(numbered(500));
    expect(BigInt(job.cost_micros)).toBeGreaterThan(0n);
    expect(await auditBooks(await market.databaseUrl())).toEqual({ difference: '0', drift: '0', held: '0' });
  });

  test('and takes its containers along: that is the fault of the machine, free, and the job runs again', async () => {
    const dockerd = await machineOn({ keepsContainers: false });
    await submit('taken', countTo(200));
    await running('taken');
    await dockerd.kill();
    await dockerd.start();
    const job = await ended('taken');
    expect(job.state, JSON.stringify(job.leases)).toBe('succeeded');
    expect(job.leases.length).toBeGreaterThanOrEqual(2);
    const [first, ...others] = job.leases;
    expect(first).toMatchObject({ end_reason: 'provider-error', cost_micros: '0', billed_ms: 0 });
    expect(others.filter(({ cost_micros: cost }) => cost !== '0')).toHaveLength(1);
    expect(await output('taken', job.leases.length)).toBe(numbered(200));
    expect(await auditBooks(await market.databaseUrl())).toEqual({ difference: '0', drift: '0', held: '0' });
  });
});
