import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Market, startMarket } from './market.ts';
import { root, until } from './program.ts';

/* What a job asks for in a file, on a machine whose owner shares its GPU, by the real programs. */

let market: Market;
beforeAll(async () => {
  market = await startMarket();
  await market.startProvider('sharer', {
    PROVIDER_SIMULATED_GPUS: '1x NVIDIA GeForce RTX 4090:24564',
    PROVIDER_REGION: 'eu-west',
    PROVIDER_SHARE_GPUS: 'true',
    PROVIDER_SPOT_PERCENT: '50',
  });
});
afterAll(() => market?.close());

async function cfab(...args: string[]): Promise<{ code: number | null; output: string }> {
  const program = market.cfab(args);
  const { code } = await program.finished(60);
  return { code, output: program.output };
}

test('two jobs of a file share one GPU at their part of the price, and a third is told when it starts', async () => {
  const file = join(market.home, 'half.yaml');
  await writeFile(
    file,
    [
      `image: ${market.image}`,
      'command: sleep 300',
      'gpu: [A100, RTX 4090]',
      'gpu_share: 0.5',
      'vram: 20GB..48GB',
      'region: eu-west|us-east',
      'class: spot',
      'cpus: 0.5',
      'memory: 64MiB',
      'time_limit: 10m',
    ].join('\n'),
  );
  for (const name of ['half-one', 'half-two', 'half-three']) {
    const { code, output } = await cfab('submit', '--yes', '--detach', '-f', file, '--name', name);
    expect(code, output).toBe(0);
  }
  const jobs = () =>
    Promise.all(['half-one', 'half-two', 'half-three'].map((name) => market.client.jobs.get(name)));
  await until(
    'two jobs to run at once',
    60,
    async () => (await jobs()).filter(({ state }) => state === 'running').length === 2,
  );
  const running = (await jobs()).filter(({ state }) => state === 'running');
  const [first, second] = running.map(({ leases }) => leases.at(-1));
  expect(first?.gpus[0]?.id).toBe(second?.gpus[0]?.id);
  // Half of a GPU at 0.35, of which a spot job pays half.
  expect([first?.price_per_hour_micros, second?.price_per_hour_micros]).toEqual(['87500', '87500']);

  const third = (await jobs()).find(({ state }) => state === 'queued');
  expect(third?.waiting?.filters.map(({ filter }) => filter)).toEqual(['busy']);
  expect(third?.waiting?.expected_start).toEqual(expect.any(String));
  const told = await cfab('explain', third?.name ?? '');
  expect(told.output).toContain('0.5 × A100 or RTX 4090 ≥ 20 GB ≤ 48 GB');
  expect(told.output).toContain('at the latest');

  const [ended] = running;
  await market.client.jobs.cancel(ended?.id ?? '');
  await until('the third to have the free half', 60, async () =>
    (await jobs()).every(({ state }) => state !== 'queued'),
  );
  for (const { id, state } of await jobs()) if (state !== 'cancelled') await market.client.jobs.cancel(id);
  await until('all to be over', 60, async () => (await jobs()).every(({ finished_at: at }) => at !== null));
});

test('a file of the folder is planned and refused as the page about it says', async () => {
  await copyFile(join(root, 'examples/job-file/computefabric.yaml'), join(market.home, 'computefabric.yaml'));
  const plan = await cfab('submit', '--plan');
  expect(plan.code, plan.output).toBe(0);
  expect(plan.output).toContain('Reading computefabric.yaml');
  expect(plan.output).toContain('1 × RTX 4090 or A100 ≥ 24 GB ≤ 80 GB');
  const nowhere = await cfab('submit', '--plan', '--region', 'moon');
  expect(nowhere.code).toBe(5);
  expect(nowhere.output).toMatch(/--region "?moon\|eu-west/);
  const schema = await fetch(`${market.url}/schemas/computefabric.json`);
  expect(schema.status).toBe(200);
});
