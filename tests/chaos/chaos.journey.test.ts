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

test('through ten kills of orchestrators, machines and the database thirty jobs end once, whole and billed once', async () => {
  const result = await runChaos({
    seed: 20,
    jobs: 30,
    kills: 10,
    orchestrators: 2,
    providers: 2,
    leaseTtlSeconds: 4,
    meanGapMs: 600,
    othersPerKill: 0.5,
    minutes: 4,
    historyFile: join(folder, 'history.jsonl'),
  });
  expect(result.violations).toEqual([]);
  expect(result.kills).toEqual({ orchestrator: 4, provider: 4, database: 2 });
  expect(result.tries).toBeGreaterThanOrEqual(30);
});
