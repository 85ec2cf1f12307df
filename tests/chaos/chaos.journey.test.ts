import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runChaos } from './chaos-run.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'computefabric-chaos-history-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('through five kills of orchestrators, machines and the database sixteen jobs end once, whole and billed once', async () => {
  const result = await runChaos({
    seed: 20,
    jobs: 16,
    kills: 5,
    orchestrators: 2,
    providers: 2,
    leaseTtlSeconds: 5,
    meanGapMs: 600,
    othersPerKill: 0.5,
    minutes: 4,
    historyFile: join(folder, 'history.jsonl'),
  });
  expect(result.violations).toEqual([]);
  expect(result.kills).toEqual({ orchestrator: 2, provider: 2, database: 1 });
  expect(result.tries).toBeGreaterThanOrEqual(16);
});
