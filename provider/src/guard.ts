import { writeFile } from 'node:fs/promises';
import { invariant } from '@computefabric/runtime/invariant';
import type { Logger } from '@computefabric/runtime/log';
import { pause, withDeadline } from '@computefabric/runtime/wait';
import type { AgentHome } from './home/agent-home.ts';
import { type BootClock, type Moment, msBetween } from './home/boot-clock.ts';
import { type HomeLock, lastSignOfLife, readLock } from './home/home-lock.ts';
import { isProcessAlive, killIfAlive } from './home/process-identity.ts';
import { readRecords, type TaskFiles } from './tasks/journal.ts';
import { mayRun } from './tasks/task-machine.ts';
import type { TaskRecord } from './tasks/task-record.ts';

export interface GuardDeps {
  home: AgentHome;
  lock: HomeLock;
  clock: BootClock;
  log: Logger;
  /** Kills and removes whatever container the lease has; nothing to do is success. */
  removeContainer: (leaseId: string) => Promise<void>;
}

interface GuardedTask {
  files: TaskFiles;
  record: TaskRecord;
}

/** Between two looks. */
const lookEveryMs = 1_000;
/** A working agent stops an expired task by itself; the guard comes this much later. */
const marginMs = 2_000;
/** A container is removed in a fraction of a second, unless something holds the engine up. */
const removeMs = 5_000;
/** Looks without a sign of life from an agent that leaves one every second. */
const frozenAfterLooks = 6;
/** A guard whose agent is dead gives up on an engine that stays away for this long. */
const longestOrphanMs = 86_400_000;

/**
 * Watches over the tasks of an agent from a process of its own. A container whose lease time is over is
 * removed even if the agent was killed or is frozen and nobody starts it again: by then the job may run on
 * another machine. Ends when its agent is gone and nothing is left to watch, or when another guard takes over.
 */
export async function guardUntilDone(deps: GuardDeps, signal: AbortSignal): Promise<void> {
  const { home, lock, clock, log } = deps;
  let orphanSince: Moment | null = null;
  let silence: { since: number | null; looks: number } = { since: null, looks: 0 };
  while (!signal.aborted && (await lock.isHeld())) {
    const agent = await readLock(home.agentLock);
    const agentAlive = agent !== null && isProcessAlive(agent);
    orphanSince = agentAlive ? null : (orphanSince ?? clock.now());
    const sign = await lastSignOfLife(home.agentLock);
    silence = sign === silence.since ? { ...silence, looks: silence.looks + 1 } : { since: sign, looks: 0 };

    const { left, stuck } = await guardOnce(deps, agentAlive);
    if (stuck > 0 && agentAlive && silence.looks >= frozenAfterLooks) {
      // A frozen reader of a program's output keeps the engine from ending that container. The agent serves
      // nobody any more: what it holds is expired, and whoever thaws or restarts it finds the journals.
      log.warn({ pid: agent.pid }, 'the agent is frozen and holds an expired container: ending it');
      killIfAlive(agent, 'SIGKILL');
    }
    if (orphanSince && (left === 0 || msBetween(orphanSince, clock.now()) > longestOrphanMs)) return;
    await pause(lookEveryMs, signal);
  }
}

/** One look at every task. Gives how many may still need the guard, and how many of these it could not end. */
export async function guardOnce(
  deps: GuardDeps,
  agentAlive: boolean,
): Promise<{ left: number; stuck: number }> {
  let left = 0;
  let stuck = 0;
  for (const task of await readRecords(deps.home.tasks, deps.log)) {
    if (!needsGuard(task.record, agentAlive)) continue;
    left += 1;
    if (!isOverdue(task.record, deps.clock.now())) continue;
    if (await endTask(deps, task)) left -= 1;
    else stuck += 1;
  }
  return { left, stuck };
}

/**
 * A living agent brings the results of an ended program home, however long the orchestrator is away: only a
 * program that may still run is the guard's business. What a dead agent left is of no use after its time.
 */
function needsGuard(record: TaskRecord, agentAlive: boolean): boolean {
  return record.aliveUntil !== null && (agentAlive ? mayRun(record) : !record.removed);
}

function isOverdue(record: TaskRecord, now: Moment): boolean {
  invariant(record.aliveUntil, 'an accepted task has a deadline');
  return msBetween(record.aliveUntil, now) > marginMs;
}

async function endTask(
  { log, removeContainer }: GuardDeps,
  { files, record }: GuardedTask,
): Promise<boolean> {
  try {
    // First the mark, by which an agent that wakes up or starts again knows what happened to its container.
    await writeFile(files.expired, '', { mode: 0o600 });
    await withDeadline(removeContainer(record.spec.lease_id), removeMs, 'removing a container');
    log.warn(
      { lease_id: record.spec.lease_id, job_id: record.spec.job_id },
      'lease time over: container removed',
    );
    return true;
  } catch (error) {
    log.error({ lease_id: record.spec.lease_id, err: error }, 'container could not be removed; trying again');
    return false;
  }
}
