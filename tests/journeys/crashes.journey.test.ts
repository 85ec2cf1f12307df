import { afterEach, describe, expect, test } from 'vitest';
import { auditBooks } from './books.ts';
import { taskContainers } from './engine.ts';
import { type Market, startMarket } from './market.ts';
import { until } from './program.ts';

const leaseTtlSeconds = 4;
/** What a silence may take longer than the lease time until it has all its consequences. */
const graceSeconds = 10;
let market: Market;

afterEach(async () => {
  await market.close();
});

/** Numbered lines for `seconds`, ten a second: a gap or a repeat shows. */
const countFor = (seconds: number) =>
  `i=0; while [ $i -lt ${seconds * 10} ]; do echo n $i; i=$((i+1)); sleep 0.1; done`;
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `n ${index}\n`).join('');

async function submit(name: string, command: string): Promise<void> {
  const args = ['submit', '--yes', '--detach', '--name', name, '--image', market.image, '--gpus', '1'];
  const submitted = await market.cfab([...args, '--command', command]).finished(60);
  expect(submitted.code, submitted.stderr).toBe(0);
}

/** What the program printed, of one try or of all. */
async function output(name: string, attempt?: number): Promise<string> {
  const { entries } = await market.client.logs.page(name, { limit: 1_000, attempt });
  return entries
    .filter(({ stream }) => stream === 'stdout')
    .map(({ data }) => data)
    .join('');
}

async function outputBegins(name: string): Promise<void> {
  await until('the first output', 60, async () => {
    return (await output(name)).includes('n 5\n');
  });
}

async function wait(name: string) {
  const waited = await market.cfab(['wait', name, '--json', '--timeout', '120s']).finished(130);
  return { code: waited.code, job: JSON.parse(waited.stdout.trim().split('\n').at(-1) ?? '{}') };
}

async function expectBooksAtRest(): Promise<void> {
  expect(await auditBooks(await market.databaseUrl())).toEqual({ difference: '0', drift: '0', held: '0' });
}

describe('the agent is killed', () => {
  test('and never returns: the container is gone by itself, the job runs again elsewhere, one try is billed', async () => {
    market = await startMarket({ leaseTtlSeconds });
    const agents = {
      first: await market.startProvider('first'),
      second: await market.startProvider('second'),
    };
    await submit('moved', countFor(8));
    await outputBegins('moved');
    const [lost] = (await market.client.jobs.get('moved')).leases;
    const machine = lost?.provider.name === 'first' ? 'first' : 'second';
    agents[machine].kill('SIGKILL');
    const killedAt = Date.now();
    await until('the orphan to stop by itself', leaseTtlSeconds + graceSeconds, async () => {
      return (await taskContainers([lost?.id ?? ''])).length === 0;
    });
    const orphanGoneAt = Date.now();
    const { code, job } = await wait('moved');
    expect(code).toBe(0);
    expect(job.leases.map(({ state }: { state: string }) => state)[0]).toBe('lost');
    expect(job.leases).toHaveLength(2);
    expect(job.leases[1].provider.name).toBe(machine === 'first' ? 'second' : 'first');
    // The machine is missed, the job goes on elsewhere at once, and both programs run beside each other hardly ever.
    const at = (moment: string) => Date.parse(moment);
    expect(at(job.leases[0].ended_at) - killedAt).toBeLessThan((leaseTtlSeconds + graceSeconds) * 1_000);
    expect(at(job.leases[1].offered_at) - at(job.leases[0].ended_at)).toBeLessThan(5_000);
    expect(orphanGoneAt - at(job.leases[1].started_at)).toBeLessThan(5_000);
    expect(job.leases.map(({ cost_micros }: { cost_micros: string }) => cost_micros !== '0')).toEqual([
      false,
      true,
    ]);
    expect(await output('moved', 2)).toBe(numbered(80));
    await expectBooksAtRest();
  });

  test('and returns within the lease time: the try goes on, no line is lost or doubled, one bill', async () => {
    market = await startMarket({ leaseTtlSeconds: 20 });
    const agent = await market.startProvider('otter');
    await submit('adopted', countFor(10));
    await outputBegins('adopted');
    agent.kill('SIGKILL');
    await agent.finished(10);
    await market.startProvider('otter');
    const { code, job } = await wait('adopted');
    expect(code).toBe(0);
    expect(job.leases).toHaveLength(1);
    expect(await output('adopted')).toBe(numbered(100));
    await until('clean engine', 20, async () => (await taskContainers(await market.leaseIds())).length === 0);
    await expectBooksAtRest();
  });

  test('and returns after the lease time: the old container is gone and the same machine runs it again', async () => {
    market = await startMarket({ leaseTtlSeconds });
    const agent = await market.startProvider('otter');
    await submit('again', countFor(6));
    await outputBegins('again');
    agent.kill('SIGKILL');
    await until('the job back in the queue', 30, async () => {
      return (await market.client.jobs.get('again')).state === 'queued';
    });
    await market.startProvider('otter');
    const { code, job } = await wait('again');
    expect(code).toBe(0);
    expect(job.leases.length).toBeGreaterThanOrEqual(2);
    expect(job.leases.filter(({ cost_micros }: { cost_micros: string }) => cost_micros !== '0')).toHaveLength(
      1,
    );
    expect(await taskContainers([job.leases[0].id])).toEqual([]);
    await expectBooksAtRest();
  });
});

describe('the orchestrator is killed', () => {
  test('in the middle of a job and starts again: the job goes on, no line is lost or doubled, the bill is right', async () => {
    market = await startMarket({ leaseTtlSeconds: 3 });
    const agent = await market.startProvider('otter');
    const attached = market.cfab([
      'submit',
      '--yes',
      '--name',
      'survivor',
      '--image',
      market.image,
      '--gpus',
      '1',
      '--command',
      countFor(12),
    ]);
    await until('output', 60, async () => attached.output.includes('n 5\n'));
    market.orchestrator.kill('SIGKILL');
    await market.orchestrator.finished(10);
    // Twice the lease time, as a minute is of the 30 s that it usually is: an outage of the market kills no program
    // of anybody's.
    const downSince = performance.now();
    await until('two lease times', 10, () => Promise.resolve(performance.now() - downSince > 6_000));
    await market.startOrchestrator();
    const ended = await attached.finished(90).catch((error: Error) => {
      throw new Error(`${error.message}\nagent:\n${agent.output.slice(-6_000)}`, { cause: error });
    });
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.stdout).toBe(numbered(120));
    expect(ended.stderr).toContain('reconnect');
    const { job } = await wait('survivor');
    expect(job.leases).toHaveLength(1);
    expect(job.leases[0].billed_ms).toBeGreaterThan(9_000);
    expect(BigInt(job.cost_micros)).toBe((BigInt(job.leases[0].billed_ms) * 350_000n) / 3_600_000n);
    await expectBooksAtRest();
  });
});
