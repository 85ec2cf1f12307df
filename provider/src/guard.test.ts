import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@computefabric/runtime/log';
import { afterAll, expect, test } from 'vitest';
import { guardOnce, guardUntilDone } from './guard.ts';
import { type AgentHome, agentHome, prepareHome } from './home/agent-home.ts';
import { addMs, type Moment } from './home/boot-clock.ts';
import { processIdentity } from './home/process-identity.ts';
import { TaskJournal } from './tasks/journal.ts';
import type { TaskRecord } from './tasks/task-record.ts';
import { testSpec } from './testing/test-spec.ts';

const folder = mkdtempSync(join(tmpdir(), 'cf-guard-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const start: Moment = { wallMs: 1_000_000, bootId: 'boot', bootMs: 50_000 };
const running = {
  aliveUntil: addMs(start, 10_000),
  image: { id: 'i', digest: null },
  containerId: 'c',
  startedAt: start,
};
const held = {
  isHeld: () => Promise.resolve(true),
  release: () => Promise.resolve(),
  touch: () => Promise.resolve(),
};
let homes = 0;

async function newHome(): Promise<AgentHome> {
  homes += 1;
  const home = agentHome(join(folder, String(homes)));
  await prepareHome(home);
  return home;
}

async function addTask(home: AgentHome, facts: Partial<TaskRecord>): Promise<TaskJournal> {
  const journal = await TaskJournal.create(home.tasks, testSpec());
  await journal.update(facts);
  return journal;
}

function guardAt(home: AgentHome, now: Moment) {
  const removed: string[] = [];
  const deps = {
    home,
    lock: held,
    clock: { now: () => now },
    log: silentLogger,
    removeContainer: async (lease: string) => void removed.push(lease),
  };
  return { deps, removed };
}

test('a task within its lease time is left alone, whether its agent lives or not', async () => {
  const home = await newHome();
  await addTask(home, running);
  const { deps, removed } = guardAt(home, addMs(start, 10_500));
  expect(await guardOnce(deps, true)).toMatchObject({ left: 1 });
  expect(await guardOnce(deps, false)).toMatchObject({ left: 1 });
  expect(removed).toEqual([]);
});

test('a program whose lease time is over is removed, also while its agent is there but frozen', async () => {
  const home = await newHome();
  const journal = await addTask(home, running);
  const { deps, removed } = guardAt(home, addMs(start, 12_500));
  expect(await guardOnce(deps, true)).toMatchObject({ left: 0 });
  expect(removed).toEqual([journal.record.spec.lease_id]);
  expect(journal.expiredByGuard).toBe(true);
});

test('the results of an ended program are left to a living agent, and of no use after a dead one', async () => {
  const home = await newHome();
  const journal = await addTask(home, {
    ...running,
    exit: { code: 0, outOfMemory: false },
    outcome: { reason: 'exited-zero', detail: null },
  });
  const { deps, removed } = guardAt(home, addMs(start, 60_000));
  expect(await guardOnce(deps, true)).toMatchObject({ left: 0 });
  expect(removed).toEqual([]);
  expect(await guardOnce(deps, false)).toMatchObject({ left: 0 });
  expect(removed).toEqual([journal.record.spec.lease_id]);
});

test('an offer that was never accepted and a container that is gone need no guard', async () => {
  const home = await newHome();
  await addTask(home, {});
  await addTask(home, { ...running, outcome: { reason: 'cancelled', detail: null }, removed: true });
  const { deps, removed } = guardAt(home, addMs(start, 60_000));
  expect(await guardOnce(deps, false)).toMatchObject({ left: 0 });
  expect(removed).toEqual([]);
});

test('a removal that fails is tried again', async () => {
  const home = await newHome();
  await addTask(home, running);
  const { deps } = guardAt(home, addMs(start, 60_000));
  const failing = { ...deps, removeContainer: () => Promise.reject(new Error('no engine')) };
  expect(await guardOnce(failing, false)).toEqual({ left: 1, stuck: 1 });
  expect(await guardOnce(deps, false)).toMatchObject({ left: 0 });
});

test('the guard ends when its agent is gone and nothing is left, when it is told to, and when it is replaced', async () => {
  const home = await newHome();
  const { deps } = guardAt(home, start);
  await guardUntilDone(deps, AbortSignal.timeout(10_000));

  writeFileSync(home.agentLock, JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) }));
  const told = new AbortController();
  const guarding = guardUntilDone(deps, told.signal);
  const ended = await Promise.race([
    guarding.then(() => true),
    new Promise((resolve) => setTimeout(resolve, 50, false)),
  ]);
  expect(ended).toBe(false);
  told.abort();
  await guarding;

  await guardUntilDone(
    { ...deps, lock: { ...held, isHeld: () => Promise.resolve(false) } },
    AbortSignal.timeout(10_000),
  );
  expect(existsSync(home.agentLock)).toBe(true);
});
