import { backoffMs } from '@computefabric/runtime/backoff';
import { invariant } from '@computefabric/runtime/invariant';
import { pause } from '@computefabric/runtime/wait';
import type { TaskExit as ContainerExit } from '../../container/container-driver.ts';
import { isContainerError } from '../../container/container-error.ts';
import { type BootClock, type Moment, msBetween } from '../../home/boot-clock.ts';
import { keepSaving } from '../../checkpoints/save-state.ts';
import type { TaskContext } from '../task-context.ts';
import { outcomeOfExit, outcomeOfStop } from '../task-machine.ts';
import type { StopCause, TaskOutcome, TaskRecord } from '../task-record.ts';

/** How a container was found to have ended; `lost` when there is none any more. */
export type Ending = { kind: 'exited'; exit: ContainerExit; engineWasAway: boolean } | { kind: 'lost' };

/** Between two looks at a clock that may jump: a machine that slept wakes up to the right time. */
const lookAgainMs = 1_000;

/** Stays with the program until it has ended, by itself or because it is to stop. */
export async function runContainer(task: TaskContext): Promise<void> {
  const { journal, output, signal, halt } = task;
  const { containerId, startedAt, spec } = journal.record;
  invariant(containerId && startedAt, 'a program is watched after it was started');
  const reading = output.readToEnd(containerId);
  // A try that is not ours any more aborts the signal; nothing else of this is needed to go on here.
  task.reportStarted().catch(() => undefined);

  // A stop that an earlier process wrote down explains the end, even if the program is gone by now.
  const stopBefore = journal.record.stop;
  const ended = new AbortController();
  const ending = waitForEnd(task, containerId).finally(() => ended.abort());
  ending.catch(() => undefined); // Awaited below, unless something else fails first.
  const over = AbortSignal.any([signal, ended.signal]);
  const timeLimit = untilElapsed(task.bootClock, startedAt, spec.time_limit_seconds * 1_000, over);
  const enough = new AbortController();
  const saving = keepSaving(task, containerId, AbortSignal.any([enough.signal, halt, over]));
  saving.catch(() => undefined); // Awaited below, unless something else fails first.
  await Promise.race([
    ending,
    timeLimit,
    aborted(AbortSignal.any([halt, over])),
    failed(reading),
    failed(saving),
  ]);
  // A save in the middle lets go of the program, and of its directory, before the program is asked to end.
  enough.abort();
  await saving;
  signal.throwIfAborted();

  const stoppedByUs = !ended.signal.aborted;
  if (stoppedByUs) {
    if (!halt.aborted) await task.stop('time-limit');
    await endProgram(task, containerId, ended.signal);
  }
  const end = await ending;
  await journal.update((record) =>
    judge(end, stoppedByUs ? record.stop : stopBefore, journal.expiredByGuard, record.stopDetail),
  );
}

/** SIGTERM and a grace time, or SIGKILL at once when the lease time is over. */
async function endProgram(
  { driver, journal, expired, signal, log, bootClock }: TaskContext,
  containerId: string,
  ended: AbortSignal,
) {
  for (let attempt = 0; !ended.aborted; attempt += 1) {
    signal.throwIfAborted();
    try {
      if (expired.aborted || attempt > 3) await driver.killTask(containerId);
      else
        await Promise.race([
          driver.stopTask(containerId, graceSeconds(journal.record, bootClock)),
          aborted(expired),
        ]);
      if (!expired.aborted) return;
      await driver.killTask(containerId);
      return;
    } catch (thrown) {
      if (isContainerError(thrown, 'task-not-found')) return;
      log.warn({ err: thrown }, 'the program could not be stopped; trying again');
      await pause(backoffMs(attempt, { baseMs: 200, maxMs: 5_000 }), AbortSignal.any([signal, ended]));
    }
  }
}

/** How long the program has between SIGTERM and SIGKILL: its grace time, or less where the market said so. */
function graceSeconds({ spec, killBy }: Readonly<TaskRecord>, clock: BootClock): number {
  if (!killBy) return spec.stop_grace_seconds;
  const leftSeconds = Math.max(0, msBetween(clock.now(), killBy) / 1_000);
  return Math.min(spec.stop_grace_seconds, Math.floor(leftSeconds));
}

/** Waits for the end, over any restart of the engine or the machine. */
async function waitForEnd(
  { driver, signal, log, journal, bootClock }: TaskContext,
  containerId: string,
): Promise<Ending> {
  let engineWasAway = isOtherBoot(journal.record.startedAt, bootClock.now());
  const onEngineAway = () => {
    engineWasAway = true;
  };
  for (let attempt = 0; ; attempt += 1) {
    signal.throwIfAborted();
    try {
      const exit = await driver.waitTask(containerId, { signal, onEngineAway });
      return { kind: 'exited', exit, engineWasAway };
    } catch (thrown) {
      signal.throwIfAborted();
      if (isContainerError(thrown, 'task-not-found')) return { kind: 'lost' };
      if (!isContainerError(thrown)) throw thrown;
      engineWasAway = true;
      log.warn({ err: thrown }, 'the engine does not answer; waiting for it');
      await pause(backoffMs(attempt, { baseMs: 100, maxMs: 3_000 }), signal);
    }
  }
}

/** Whether the machine was started anew since: nothing that ran before has ended by itself. */
export function isOtherBoot(startedAt: Moment | null, now: Moment): boolean {
  return (
    startedAt !== null && startedAt.bootId !== null && now.bootId !== null && startedAt.bootId !== now.bootId
  );
}

/**
 * The facts about an end. A stop counts when it came before the end; one that came too late for it is dropped,
 * so that a program that was done is never run again.
 */
export function judge(
  ending: Ending,
  stopped: StopCause | null,
  expiredByGuard: boolean,
  stopDetail: string | null = null,
): Pick<TaskRecord, 'exit' | 'outcome' | 'stop'> {
  // The watchdog has been here while this process was frozen or dead.
  const stop = expiredByGuard ? 'lease-expired' : stopped;
  if (ending.kind === 'lost') {
    const outcome = stop ? outcomeOfStop(stop, stopDetail) : providerError('The container is gone.');
    return { exit: { code: null, outOfMemory: false }, outcome, stop };
  }
  const exit = { code: ending.exit.exitCode, outOfMemory: ending.exit.oomKilled };
  // An engine that stops takes its containers with it unless it is set up to leave them.
  if (ending.engineWasAway && exit.code !== 0 && !exit.outOfMemory && !stop) {
    return { exit, outcome: providerError('The engine was restarted while the program ran.'), stop };
  }
  return { exit, outcome: outcomeOfExit(exit, stop, stopDetail), stop };
}

function providerError(detail: string): TaskOutcome {
  return { reason: 'provider-error', detail };
}

/** Resolves when `ms` have passed since a moment, or the signal aborts. */
async function untilElapsed(clock: BootClock, since: Moment, ms: number, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const leftMs = ms - msBetween(since, clock.now());
    if (leftMs <= 0) return;
    await pause(Math.min(leftMs, lookAgainMs), signal);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** Never resolves; rejects when the work does. */
function failed(work: Promise<unknown>): Promise<never> {
  return new Promise((_resolve, reject) => {
    work.catch(reject);
  });
}
