import { afterEach, expect, test } from 'vitest';
import { auditBooks } from './books.ts';
import { taskContainers } from './engine.ts';
import { type Market, startMarket } from './market.ts';
import { until } from './program.ts';

let market: Market;
afterEach(async () => {
  await market.close();
});

const lines = 180;
const program = `i=0; while [ $i -lt ${lines} ]; do echo n $i; i=$((i+1)); sleep 0.1; done`;

test('a machine falls silent, is replaced and returns: the original goes on, the replacement is stopped and free', async () => {
  market = await startMarket({ leaseTtlSeconds: 4 });
  const home = await market.startProvider('home');
  const submit = ['submit', '--yes', '--detach', '--name', 'kept', '--image', market.image, '--gpus', '1'];
  const submitted = await market.cfab([...submit, '--keep', 'original', '--command', program]).finished(60);
  expect(submitted.code, submitted.stderr).toBe(0);
  const job = () => market.client.jobs.get('kept');
  const stateOf = async (attempt: number) => (await job()).leases[attempt - 1]?.state;
  await until('the program to run', 60, async () => (await job()).state === 'running');

  home.kill('SIGSTOP'); // its container goes on: nobody tells it to stop
  await until('the try to be silent', 20, async () => (await stateOf(1)) === 'silent');
  await market.startProvider('other');
  await until('the replacement to run', 30, async () => (await job()).leases[1]?.started_at != null);
  home.kill('SIGCONT');
  await until('the original to be kept', 20, async () => (await stateOf(1)) === 'active');

  const waited = await market.cfab(['wait', 'kept', '--json', '--timeout', '60s']).finished(70);
  expect(waited.code, waited.stderr).toBe(0);
  const { leases } = await job();
  expect(leases.map(({ end_reason }) => end_reason)).toEqual(['exited-zero', 'superseded']);
  expect(leases[0]?.provider.name).toBe('home');
  expect(leases[1]?.cost_micros).toBe('0');
  // It ran for eighteen seconds and was not heard of for some of them.
  expect(leases[0]?.billed_ms).toBeLessThan(18_000);
  const { entries } = await market.client.logs.page('kept', { limit: 1_000, attempt: 1 });
  const printed = entries.filter(({ stream }) => stream === 'stdout').map(({ data }) => data);
  expect(printed.join('')).toBe(Array.from({ length: lines }, (_, at) => `n ${at}\n`).join(''));
  await until('clean engine', 20, async () => (await taskContainers(await market.leaseIds())).length === 0);
  expect(await auditBooks(await market.databaseUrl())).toEqual({ difference: '0', drift: '0', held: '0' });
});
