import { sampleJob } from '@computefabric/api-client/testing/sample-data';
import { getJob, resumeJob } from '@computefabric/protocol/user-api/jobs';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { onlyJson, Workbench } from '../testing/run-cfab.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

test('resume raises the limit, prints the name of the new job alone, and says what a refusal is about', async () => {
  const old = sampleJob({ state: 'expired', end_reason: 'funds-exhausted', max_cost_micros: '500000' });
  const next = sampleJob({ name: 'mnist-7k2-r2', max_cost_micros: '4500000' });
  bench.market.on(getJob, () => old).on(resumeJob, () => next);
  const done = await bench.run(['resume', 'mnist-7k2', '--max-cost', '5']);
  expect(done).toMatchObject({ code: 0, stdout: 'mnist-7k2-r2\n' });
  expect(done.stderr).toContain('It goes on from mnist-7k2, and costs $4.50 more at most');
  expect(bench.market.seen(resumeJob).map(({ body }) => body)).toEqual([{ max_cost_micros: '5000000' }]);
  const json = await bench.run(['resume', 'mnist-7k2', '--max-cost', 'none', '--json']);
  expect(onlyJson(json.stdout)).toMatchObject({ name: 'mnist-7k2-r2' });

  bench.market.on(resumeJob, () => ({ refuse: 'request/invalid' }));
  const refused = await bench.run(['resume', 'mnist-7k2']);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toContain('cfab resume mnist-7k2 --max-cost');
  expect((await bench.run(['resume', 'mnist-7k2', '--max-cost', 'much'])).code).toBe(2);
});
