import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@computefabric/runtime/log';
import { afterAll, expect, test } from 'vitest';
import type { OwnedResource } from '../container/container-driver.ts';
import { testSpec } from '../testing/test-spec.ts';
import { TaskJournal } from './journal.ts';
import { compare, recoverTasks } from './recover-tasks.ts';
import { newTaskRecord } from './task-record.ts';

const folder = mkdtempSync(join(tmpdir(), 'cf-recover-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const moment = { wallMs: 1, bootId: null, bootMs: null };
const started = { ...newTaskRecord(testSpec()), aliveUntil: moment, containerId: 'c', startedAt: moment };

function container(state: 'created' | 'running' | 'exited', leaseId = 'x'): OwnedResource {
  return { id: 'c', leaseId, jobId: 'j', fence: 1, state, createdAt: new Date() };
}

test('journal and engine together tell what became of a task', () => {
  expect(compare(started, [container('running')])).toBe('running');
  expect(compare(started, [container('exited')])).toBe('ended');
  expect(compare(started, [])).toBe('missing');
  expect(compare({ ...started, outcome: { reason: 'cancelled', detail: null }, removed: true }, [])).toBe(
    'none',
  );
  expect(compare(newTaskRecord(testSpec()), [container('created')])).toBe('prepared');
  expect(compare(newTaskRecord(testSpec()), [])).toBe('none');
});

test('a journal read again holds the same facts, and what has none is left to the sweep', async () => {
  const journal = await TaskJournal.create(folder, testSpec({ env: { A: 'ü' } }));
  await Promise.all([
    journal.update({ aliveUntil: moment }),
    journal.update(({ aliveUntil }) => ({ image: { id: aliveUntil ? 'second' : 'first', digest: null } })),
  ]);
  await mkdir(join(folder, testSpec().lease_id));
  await mkdir(join(folder, 'something-else'));
  const broken = join(folder, testSpec().lease_id);
  await mkdir(broken);
  await writeFile(join(broken, 'task.json'), '{');

  const journals = await TaskJournal.loadAll(folder, silentLogger);
  expect(journals.map(({ record }) => record)).toEqual([journal.record]);
  expect(journal.record.image?.id).toBe('second');
  const lease = journal.record.spec.lease_id;
  const recovery = recoverTasks(
    journals,
    [container('created', lease), container('running', 'lease_of_nobody')],
    silentLogger,
  );
  expect(recovery.tasks.map(({ found }) => found)).toEqual(['prepared']);
  expect(recovery.unknown).toEqual(['lease_of_nobody']);

  await journal.remove();
  await journal.update({ saved: true });
  expect(await TaskJournal.loadAll(folder, silentLogger)).toEqual([]);
});

test('facts that no road leads to are refused', async () => {
  const journal = await TaskJournal.create(folder, testSpec());
  await journal.update({
    aliveUntil: moment,
    outcome: { reason: 'exited-zero', detail: null },
    endReported: true,
  });
  await expect(journal.update({ endReported: false })).rejects.toThrow(/cannot go/);
  expect(journal.record.state).toBe('reported');
});
