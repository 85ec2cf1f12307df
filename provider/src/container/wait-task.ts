import { pause } from '@computefabric/runtime/wait';
import type { TaskExit, TaskStatus, WaitOptions } from './container-driver.ts';
import { ContainerError, isContainerError } from './container-error.ts';
import type { DockerEngine } from './docker-engine.ts';

/** An engine that is being upgraded comes back within this; its tasks may have gone on meanwhile. */
const LONGEST_ENGINE_OUTAGE_MS = 120_000;

/** See `ContainerDriver.waitTask`. Survives restarts of the engine. */
export async function waitTask(
  engine: DockerEngine,
  containerId: string,
  inspect: (containerId: string) => Promise<TaskStatus | null>,
  { signal, onEngineAway }: WaitOptions = {},
): Promise<TaskExit> {
  let awayUntil: number | null = null;
  for (;;) {
    if (signal?.aborted) throw new ContainerError('aborted', 'waiting for the task: stopped');
    try {
      const exit = await exitOf(containerId, inspect);
      if (exit) return await withLateOom(exit, containerId, inspect, signal);
      awayUntil = null;
      await nextExit(engine, containerId, inspect, signal);
    } catch (error) {
      if (!isContainerError(error, 'engine-unreachable', 'engine-timeout')) throw error;
      // Not one that is only slow: it has not let go of anything.
      if (isContainerError(error, 'engine-unreachable')) onEngineAway?.();
      awayUntil ??= performance.now() + LONGEST_ENGINE_OUTAGE_MS;
      if (performance.now() > awayUntil) throw error;
      await pause(500, signal);
    }
  }
}

const sigkillExit = 137;
/** On a busy machine the engine learns of a kill for memory up to some hundred ms after the exit. */
const lateOomMs = [100, 300];

/**
 * An exit by SIGKILL may be a kill for memory of which the engine has not heard yet: looks again before it is
 * believed to be anything else.
 */
async function withLateOom(
  exit: TaskExit,
  containerId: string,
  inspect: (containerId: string) => Promise<TaskStatus | null>,
  signal?: AbortSignal,
): Promise<TaskExit> {
  let latest = exit;
  for (const ms of lateOomMs) {
    if (latest.exitCode !== sigkillExit || latest.oomKilled) break;
    await pause(ms, signal);
    latest = (await inspect(containerId))?.exit ?? latest; // null: removed meanwhile, and what was seen stands
  }
  return latest;
}

/** Resolves when the container ends, or when the connection to the engine does: the caller looks again. */
async function nextExit(
  engine: DockerEngine,
  containerId: string,
  inspect: (containerId: string) => Promise<TaskStatus | null>,
  signal?: AbortSignal,
): Promise<void> {
  const answer = await engine.open(
    'waiting for the task',
    { method: 'POST', path: `/containers/${containerId}/wait`, query: { condition: 'next-exit' } },
    signal,
  );
  try {
    // The engine answers at once and completes the answer at the exit. One that came before it listened is caught
    // by looking again now.
    if (await exitOf(containerId, inspect)) return;
    for await (const _ of answer);
  } catch (error) {
    throw engine.asContainerError('waiting for the task', error);
  } finally {
    answer.destroy();
  }
}

async function exitOf(
  containerId: string,
  inspect: (containerId: string) => Promise<TaskStatus | null>,
): Promise<TaskExit | null> {
  const status = await inspect(containerId);
  if (status === null) throw new ContainerError('task-not-found', `there is no container ${containerId}`);
  return status.exit;
}
