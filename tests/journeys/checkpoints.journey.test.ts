import { createHash } from 'node:crypto';
import { invariant } from '@computefabric/runtime/invariant';
import { afterEach, describe, expect, test } from 'vitest';
import { auditBooks } from './books.ts';
import { taskContainers } from './engine.ts';
import { type Market, startMarket } from './market.ts';
import { until } from './program.ts';

const leaseTtlSeconds = 4;
let market: Market;

afterEach(async () => {
  await market.close();
});

/**
 * Counts to `last`, ten a second; its only memory is a file that it appends to. Says where it began. The first
 * try takes its time for the last twenty, so that it does not end before the test has done with it.
 */
const counter = (last: number) =>
  [
    'echo begin $(cat /state/log 2>/dev/null | wc -l) attempt $COMPUTEFABRIC_ATTEMPT resumed $COMPUTEFABRIC_RESUMED',
    'touch /state/log',
    `while i=$(wc -l < /state/log); [ $i -lt ${last} ]; do echo $((i+1)) >> /state/log; echo n $((i+1)); if [ $COMPUTEFABRIC_ATTEMPT = 1 ] && [ $i -gt ${last - 20} ]; then sleep 3; else sleep 0.1; fi; done`,
    'md5sum < /state/log',
  ].join('; ');
const counted = (last: number) =>
  createHash('md5')
    .update(Array.from({ length: last }, (_, index) => `${index + 1}\n`).join(''))
    .digest('hex');

async function submit(name: string, last: number): Promise<void> {
  await market.client.jobs.create({
    name,
    image: market.image,
    command: counter(last),
    requirements: { gpus: 1 },
    stop_grace_seconds: 2,
    checkpoint: { path: '/state', every_seconds: 5 },
  });
}

async function output(name: string, attempt?: number): Promise<string> {
  const { entries } = await market.client.logs.page(name, { limit: 1_000, attempt });
  return entries
    .filter(({ stream }) => stream === 'stdout')
    .map(({ data }) => data)
    .join('');
}

const lastNumber = (text: string) => Number([...text.matchAll(/^n (\d+)$/gm)].at(-1)?.[1] ?? 0);
const beginning = (text: string) => Number(/^begin (\d+) /.exec(text)?.[1]);

async function settled(name: string) {
  return await until('the end of the job', 60, async () => {
    const job = await market.client.jobs.get(name);
    return job.cost.payment_state === 'succeeded' && job;
  }).catch(async (error: Error) => {
    const { items } = await market.client.jobs.events(name);
    const history = items.map(({ at, type, message, data }) =>
      [at, type, message, JSON.stringify(data)].join(' '),
    );
    throw new Error(`${error.message}\n${history.join('\n')}`, { cause: error });
  });
}

describe('a job that keeps its state', () => {
  test('loses nothing when the owner takes the machine back: not a number is missing or counted twice', async () => {
    market = await startMarket({ leaseTtlSeconds });
    const first = await market.startProvider('first');
    await submit('moved', 45);
    await until('some numbers', 60, async () => lastNumber(await output('moved')) >= 20);
    await market.startProvider('second');
    await first.stop(60);
    const job = await settled('moved');
    expect(job).toMatchObject({ state: 'succeeded', exit_code: 0, attempts: 2 });
    expect(job.leases.map(({ end_reason }) => end_reason)).toEqual(['provider-left', 'exited-zero']);
    expect(job.leases.map(({ provider }) => provider.name)).toEqual(['first', 'second']);

    const [before, after] = [await output('moved', 1), await output('moved', 2)];
    expect(before).toMatch(/^begin 0 attempt 1 resumed 0\n/);
    // The last number may have been kept and not printed any more; what was printed was kept.
    expect(beginning(after) - lastNumber(before)).toBeGreaterThanOrEqual(0);
    expect(beginning(after) - lastNumber(before)).toBeLessThanOrEqual(1);
    expect(after).toMatch(/^begin \d+ attempt 2 resumed 1\n/);
    expect(after).toContain(counted(45));

    // What the first machine did is kept, so it is paid for; all of it together is within the hold.
    const [moved, finished] = job.leases;
    expect(moved?.billed_ms).toBeGreaterThan(1_500);
    expect(BigInt(job.cost_micros)).toBe(
      BigInt(moved?.cost_micros ?? 0) + BigInt(finished?.cost_micros ?? 0),
    );
    expect(BigInt(job.cost_micros)).toBeLessThanOrEqual(BigInt(job.cost.hold_micros));
    expect(await auditBooks(await market.databaseUrl())).toEqual({ difference: '0', drift: '0', held: '0' });

    const saved = await market.client.jobs.checkpoints('moved');
    expect(saved.items.length).toBeLessThanOrEqual(2);
    expect(saved.items[0]).toMatchObject({ state: 'complete', attempt: 1, files: 1, next: true });
    await until('clean engine', 20, async () => (await taskContainers(await market.leaseIds())).length === 0);
  });

  test('goes on where its state still lies, though another machine is a little cheaper, and fetches nothing', async () => {
    market = await startMarket({ leaseTtlSeconds });
    const keeper = await market.startProvider('keeper', { PROVIDER_PRICE_PER_GPU_HOUR: '0.357' });
    await market.startProvider('cheaper');
    const { items: machines } = await market.client.machines.list();
    const cheaper = machines.find(({ name }) => name === 'cheaper');
    invariant(cheaper, 'it has joined');
    await market.client.machines.pause(cheaper.id, {});
    await market.client.jobs.create({
      name: 'tries',
      image: market.image,
      // The first try fails while it is saved for the second time. 40 MB take three seconds on a home line: of a run of a minute that is more than the two percent.
      command: [
        'if [ $COMPUTEFABRIC_ATTEMPT = 1 ]; then head -c 40000000 /dev/urandom > /state/big; fi',
        'md5sum /state/big',
        'if [ $COMPUTEFABRIC_ATTEMPT = 1 ]; then touch /tmp/saves; while [ $(wc -l < /tmp/saves) -lt 2 ]; do sleep 0.2; done; exit 3; fi',
      ].join('; '),
      requirements: { gpus: 1 },
      time_limit_seconds: 60,
      retries: { max: 1 },
      checkpoint: { path: '/state', every_seconds: 5, command: 'echo save >> /tmp/saves' },
    });
    await until('a checkpoint', 60, async () => {
      return (await market.client.jobs.checkpoints('tries')).items.length > 0;
    });
    await market.client.machines.resume(cheaper.id);
    expect(await market.client.jobs.get('tries')).toMatchObject({ state: 'running', attempts: 1 });
    const job = await settled('tries');
    expect(job).toMatchObject({ state: 'succeeded', attempts: 2 });
    expect(job.leases.map(({ provider }) => provider.name)).toEqual(['keeper', 'keeper']);
    expect(await output('tries', 2)).toBe(await output('tries', 1));
    expect(keeper.output).toMatch(/"bytes":40000000,"fetched_bytes":0,.*state put back/);
    const { items } = await market.client.jobs.events('tries');
    expect(items.filter(({ type }) => type === 'matched').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^Offered to keeper at \$0\.357 per hour\.$/),
      expect.stringMatching(/All 40 MB of its saved state are there already\.$/),
    ]);
  });

  test('loses at most one interval when the machine is gone without a word, and that try is free', async () => {
    market = await startMarket({ leaseTtlSeconds });
    const first = await market.startProvider('first');
    await submit('survivor', 90);
    await until('a checkpoint', 60, async () => {
      return (await market.client.jobs.checkpoints('survivor')).items.length > 0;
    });
    const seen = lastNumber(await output('survivor'));
    await until('work after it', 60, async () => lastNumber(await output('survivor')) > seen + 5);
    first.kill('SIGKILL');
    await market.startProvider('second');
    const job = await settled('survivor');
    expect(job.state).toBe('succeeded');
    expect(job.leases[0]).toMatchObject({ end_reason: 'provider-lost', billed_ms: 0 });
    const [before, after] = [await output('survivor', 1), await output('survivor', job.attempts)];
    expect(beginning(after)).toBeGreaterThan(0);
    // Ten a second for the five seconds between two saves, and one more for the save itself.
    expect(lastNumber(before) - beginning(after)).toBeLessThanOrEqual(60);
    expect(after).toMatch(/ resumed 1\n/);
    expect(after).toContain(counted(90));
    expect(await auditBooks(await market.databaseUrl())).toEqual({ difference: '0', drift: '0', held: '0' });
  });
});
