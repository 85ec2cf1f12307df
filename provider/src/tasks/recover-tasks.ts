import type { Logger } from '@computefabric/runtime/log';
import type { OwnedResource } from '../container/container-driver.ts';
import type { TaskJournal } from './journal.ts';
import { mayRun } from './task-machine.ts';
import type { TaskRecord } from './task-record.ts';

/** What an earlier process of this folder left behind, journal against engine. */
export interface Recovery {
  /** Tasks to walk on with, each with what is known of its container. */
  tasks: Array<{ journal: TaskJournal; found: Found }>;
  /** Leases of which the engine holds something and no journal tells: left to the sweep. */
  unknown: string[];
}

/**
 * - `running`  the program goes on: adopt it
 * - `ended`    it ended meanwhile: report it
 * - `prepared` a container that was never started
 * - `missing`  a program ran and its container is gone: the watchdog or somebody else removed it
 * - `none`     there need not be a container
 */
export type Found = 'running' | 'ended' | 'prepared' | 'missing' | 'none';

/** Compares the journals with what the engine holds. The journals decide; the engine only tells how far it came. */
export function recoverTasks(
  journals: readonly TaskJournal[],
  owned: readonly OwnedResource[],
  log: Logger,
): Recovery {
  const byLease = new Map<string, OwnedResource[]>();
  for (const each of owned) byLease.set(each.leaseId, [...(byLease.get(each.leaseId) ?? []), each]);
  const tasks = journals.map((journal) => {
    const { record } = journal;
    const found = compare(record, byLease.get(record.spec.lease_id) ?? []);
    log.info({ lease_id: record.spec.lease_id, state: record.state, found }, 'task found from before');
    return { journal, found };
  });
  const known = new Set(journals.map((journal) => journal.record.spec.lease_id as string));
  return { tasks, unknown: [...byLease.keys()].filter((lease) => !known.has(lease)) };
}

export function compare(record: Readonly<TaskRecord>, owned: readonly OwnedResource[]): Found {
  const container = owned[0];
  if (!container) return record.startedAt && mayRun(record) ? 'missing' : 'none';
  switch (container.state) {
    case 'created':
      return 'prepared';
    case 'running':
      return 'running';
    case 'exited':
      return 'ended';
  }
}
