import { beforeEach, describe, expect, test } from 'vitest';
import { FakeDriver, FakeEngine } from './fake-driver.ts';
import { DanglingSweep } from './sweep-dangling.ts';
import { testTaskSpec } from './testing/task-spec.ts';

describe('sweeping what no lease claims', () => {
  let engine: FakeEngine;
  let driver: FakeDriver;
  let known: Set<string>;
  let nowMs: number;
  let sweep: DanglingSweep;

  beforeEach(async () => {
    engine = new FakeEngine();
    engine.images.set('example/image:latest', { sizeBytes: 1, program: null });
    engine.programs.set('true', async (process) => {
      await process.sleep(600_000);
      return 0;
    });
    driver = new FakeDriver(engine, 'agent');
    known = new Set();
    nowMs = 0;
    sweep = new DanglingSweep({
      driver,
      knownLeaseIds: () => known,
      monotonicMs: () => nowMs,
      graceSeconds: 60,
    });
    await make('lease_lost');
  });

  async function make(leaseId: string, agent = driver): Promise<string> {
    const id = await agent.createTask(testTaskSpec({ leaseId }));
    await agent.startTask(id);
    return id;
  }

  test('the first sight removes nothing; after the grace it is gone', async () => {
    const first = await sweep.sweep();
    expect(first.waiting).toHaveLength(1);
    expect(first.removed).toEqual([]);
    nowMs = 59_000;
    expect((await sweep.sweep()).waiting).toHaveLength(1);
    nowMs = 60_000;
    const last = await sweep.sweep();
    expect(last.removed.map(({ leaseId }) => leaseId)).toEqual(['lease_lost']);
    expect(await driver.listOwned()).toEqual([]);
    expect(await sweep.sweep()).toEqual({ waiting: [], removed: [], failed: [] });
  });

  test('what a lease claims is left alone, however old it is', async () => {
    known.add('lease_kept');
    const kept = await make('lease_kept');
    await sweep.sweep();
    nowMs = 1_000_000;
    await sweep.sweep();
    expect(await driver.inspectTask(kept)).toMatchObject({ state: 'running' });
  });

  test('a lease that is written down in time saves its container, and the clock starts anew', async () => {
    await sweep.sweep();
    nowMs = 50_000;
    known.add('lease_lost');
    expect((await sweep.sweep()).waiting).toEqual([]);
    known.clear();
    nowMs = 70_000;
    expect((await sweep.sweep()).waiting).toHaveLength(1);
    nowMs = 100_000;
    expect((await sweep.sweep()).removed).toEqual([]);
  });

  test('containers of another agent are not seen', async () => {
    const other = new FakeDriver(engine, 'other');
    const id = await make('lease_of_other', other);
    await sweep.sweep();
    nowMs = 1_000_000;
    await sweep.sweep();
    expect(await other.inspectTask(id)).toMatchObject({ state: 'running' });
  });

  test('one that will not go does not keep the others', async () => {
    await make('lease_stuck');
    const stuck = new DanglingSweep({
      driver: {
        listOwned: () => driver.listOwned(),
        removeLease: async (leaseId) => {
          if (leaseId === 'lease_stuck') throw new Error('busy');
          await driver.removeLease(leaseId);
        },
      },
      knownLeaseIds: () => known,
      monotonicMs: () => nowMs,
      graceSeconds: 60,
    });
    await stuck.sweep();
    nowMs = 60_000;
    const report = await stuck.sweep();
    expect(report.failed).toEqual([{ leaseId: 'lease_stuck', error: new Error('busy') }]);
    expect(report.removed.every(({ leaseId }) => leaseId === 'lease_lost')).toBe(true);
  });

  test('an engine that cannot be asked is an error, and nothing is forgotten', async () => {
    await sweep.sweep();
    engine.reachable = false;
    nowMs = 60_000;
    await expect(sweep.sweep()).rejects.toMatchObject({ code: 'engine-unreachable' });
    engine.reachable = true;
    expect((await sweep.sweep()).removed).toHaveLength(1);
  });
});
