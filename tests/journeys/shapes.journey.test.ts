import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditBooks } from './books.ts';
import { type Market, startMarket } from './market.ts';
import { until } from './program.ts';

let market: Market;

beforeAll(async () => {
  market = await startMarket();
  for (const name of ['otter', 'heron']) await market.startProvider(name);
});
afterAll(async () => {
  await market.close();
});

const run = async (...args: string[]) => await market.cfab(args).finished(90);
const submit = (...args: string[]) =>
  run('submit', '--yes', '--image', market.image, '--memory', '64MiB', ...args);

test('an array of six, two at a time, then the job after it, then one job on two machines: one id and one bill each', async () => {
  const member =
    'mkdir -p /outputs; echo $COMPUTEFABRIC_ARRAY_INDEX of $COMPUTEFABRIC_ARRAY_SIZE | tee /outputs/index.txt';
  const started = market.cfab([
    'submit',
    '--yes',
    '--image',
    market.image,
    '--memory',
    '64MiB',
    '--name',
    'six',
    '--array',
    '6',
    '--max-parallel',
    '2',
    '--command',
    member,
  ]);
  await until('the group', 30, async () => (await market.client.groups.get('six')).size === 6);
  const after = await submit('--detach', '--name', 'sum', '--after', 'six', '--command', 'echo all done');
  expect(after.code, after.stderr).toBe(0);

  // Looked at again and again while it goes: never more than two at the same time.
  let most = 0;
  await until('six members to end', 90, async () => {
    const { counts, state } = await market.client.groups.get('six');
    most = Math.max(most, counts.queued + counts.preparing + counts.running + counts.finishing);
    return state !== 'active';
  });
  expect(most).toBeLessThanOrEqual(2);
  const submitted = await started.finished(60);
  expect(submitted.code, submitted.stderr).toBe(0);

  const logs = await run('logs', 'six/3');
  expect(logs.stdout).toBe('3 of 6\n');
  const fetched = await run('artifacts', 'six', '--download', join(market.home, 'six'));
  expect(fetched.code, fetched.stderr).toBe(0);
  for (const index of [0, 1, 2, 3, 4, 5])
    expect(await readFile(join(market.home, 'six', String(index), 'index.txt'), 'utf8')).toBe(
      `${index} of 6\n`,
    );
  expect((await run('wait', 'sum')).code).toBe(0);
  const [prepared, sum] = await Promise.all([market.client.jobs.get('six/5'), market.client.jobs.get('sum')]);
  expect(Date.parse(sum.started_at ?? '')).toBeGreaterThan(Date.parse(prepared.finished_at ?? ''));

  const rank = 'echo rank $COMPUTEFABRIC_RANK of $COMPUTEFABRIC_WORLD_SIZE with $COMPUTEFABRIC_PEERS';
  // Each machine has two GPUs, so the ranks cannot be on the same one.
  const gang = await submit('--name', 'pair', '--machines', '2', '--gpus', '2', '--command', rank);
  expect(gang.code, gang.stderr).toBe(0);
  const peers = new Set<string>();
  for (const index of [0, 1]) {
    const { stdout } = await run('logs', `pair/${index}`);
    const [, told] = new RegExp(`^rank ${index} of 2 with (\\[.*\\])$`, 'm').exec(stdout) ?? [];
    for (const name of JSON.parse(told ?? '[]') as string[]) peers.add(name);
  }
  expect([...peers].toSorted()).toEqual(['heron', 'otter']);

  for (const name of ['six', 'pair']) {
    const group = await market.client.groups.get(name);
    const { items } = await market.client.jobs.list({ group: name });
    const bills = items.reduce((all, job) => all + BigInt(job.cost_micros), 0n);
    expect(BigInt(group.cost.accrued_micros)).toBe(bills);
  }
  expect(await auditBooks(await market.databaseUrl())).toEqual({ difference: '0', drift: '0', held: '0' });
});
