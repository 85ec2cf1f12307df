import type { TaskState } from '@computefabric/protocol/lease-state';
import type { Countersignature, MeteringRecord } from '@computefabric/protocol/receipts/metering';
import { backoffMs } from '@computefabric/runtime/backoff';
import { toError } from '@computefabric/runtime/errors';
import { withLogContext } from '@computefabric/runtime/log';
import type { Signer } from '@computefabric/runtime/receipts/signatures';
import { pause } from '@computefabric/runtime/wait';
import type { PullProgress } from '../container/container-driver.ts';
import { LeaseGone, type LeaseReports } from '../control-plane/lease-reports.ts';
import { addMs, laterOf, type Moment, msBetween } from '../home/boot-clock.ts';
import { SpoolError, TaskOutput } from '../run-logs/task-output.ts';
import type { TaskJournal } from './journal.ts';
import { acceptOffer } from './steps/accept-offer.ts';
import { cleanUp } from './steps/clean-up.ts';
import { createContainer } from './steps/create-container.ts';
import { pullImage } from './steps/pull-image.ts';
import { reportEnd } from './steps/report-end.ts';
import { reportExit } from './steps/report-exit.ts';
import { restoreState } from './steps/restore-state.ts';
import { runContainer } from './steps/run-container.ts';
import { saveResults } from './steps/save-results.ts';
import { saveState } from './steps/save-state.ts';
import { startContainer } from './steps/start-container.ts';
import type { TaskContext, TaskDeps } from './task-context.ts';
import { TaskFailure } from './task-failure.ts';
import { MeteringWitness } from './witness-metering.ts';
import { mayRun, nextStep, outcomeOfStop, type TaskStep } from './task-machine.ts';
import type { StopCause, TaskRecord } from './task-record.ts';

export interface TaskRunnerOptions extends TaskDeps {
  journal: TaskJournal;
  reports: LeaseReports;
  signer: Signer;
  /** The task's state or progress has changed. */
  onNews: (news: 'state' | 'progress') => void;
}

/** How a task's walk ended: done and reported, taken away from us, or left where it is by this process. */
export type WalkEnd = 'done' | 'gone' | 'left';

const steps: Record<Exclude<TaskStep, 'forget'>, (task: TaskContext) => Promise<void>> = {
  accept: acceptOffer,
  'give-up': giveUp,
  'pull-image': pullImage,
  'create-container': createContainer,
  'restore-state': restoreState,
  'start-container': startContainer,
  'run-container': runContainer,
  'report-exit': reportExit,
  'save-state': saveState,
  save: saveResults,
  'report-end': reportEnd,
  'clean-up': cleanUp,
  'report-release': async ({ journal, reports, signal }) => {
    await reports.released(journal.record.countersigned, signal);
    await journal.update({ released: true });
  },
};

/** Tries of a step before the task is given up; with the pauses between them about 15 s. */
const mostTries = 6;
const retry = { baseMs: 500, maxMs: 5_000 };
/** A container that the engine does not remove now is left to the sweep. */
const mostRemovals = 20;
const lookAgainMs = 1_000;

/** This process leaves: the container goes on without it. */
class ProcessLeaves extends Error {
  override readonly name = 'ProcessLeaves';
}

/**
 * Walks one task from offer to release. Every step can be done again, and each fact is in the journal before
 * the next step begins, so that the walk survives the death of this process anywhere in it.
 */
export class TaskRunner {
  readonly #options: TaskRunnerOptions;
  /** Ends the walk: the lease is gone, or this process leaves. Its reason says which. */
  readonly #let = new AbortController();
  readonly #halt = new AbortController();
  readonly #expired = new AbortController();
  readonly #witness: MeteringWitness;
  #output: TaskOutput | undefined;
  #progress: PullProgress | null = null;
  #startReport: Promise<void> | undefined;
  #walking: Promise<WalkEnd> | undefined;

  constructor(options: TaskRunnerOptions) {
    this.#options = options;
    this.#witness = new MeteringWitness({
      signer: options.signer,
      spec: options.journal.record.spec,
      clock: options.bootClock,
      log: options.log,
    });
    if (options.journal.record.stop) this.#halt.abort();
  }

  get record(): Readonly<TaskRecord> {
    return this.#options.journal.record;
  }

  get state(): TaskState {
    return this.record.state;
  }

  /** How far the image has come; null when nothing is being pulled. */
  get progress(): PullProgress | null {
    return this.state === 'pulling' ? this.#progress : null;
  }

  /** Signs a record of the running time; the signature goes with the next heartbeat. */
  async witness(record: MeteringRecord): Promise<void> {
    await this.#witness.signForHeartbeat(record, this.record.startedAt);
  }

  takeCountersignature(): Countersignature | undefined {
    return this.#witness.takeUnsent();
  }

  /** Walks the task to its end. The same promise for every caller; it never rejects. */
  run(): Promise<WalkEnd> {
    const { spec } = this.record;
    this.#walking ??= withLogContext({ lease_id: spec.lease_id, job_id: spec.job_id }, () => this.#run());
    return this.#walking;
  }

  /**
   * Writes down why the task is to stop, unless it is stopping or over already, and stops it.
   *
   * @param withinSeconds shortens the program's grace time when it is less
   * @param detail what the renter is told beside the cause
   */
  async stop(
    cause: StopCause,
    withinSeconds: number | null = null,
    detail: string | null = null,
  ): Promise<void> {
    const killBy =
      withinSeconds === null ? null : addMs(this.#options.bootClock.now(), withinSeconds * 1_000);
    await this.#options.journal.update((record) =>
      record.stop || record.outcome ? {} : { stop: cause, stopDetail: detail, killBy },
    );
    if (this.record.stop) this.#halt.abort();
    this.#options.onNews('state');
  }

  /** The orchestrator has been heard: the task may live until then. */
  async renew(aliveUntil: Moment): Promise<void> {
    await this.#options.journal.update((record) =>
      record.aliveUntil
        ? {
            aliveUntil: laterOf(record.aliveUntil, aliveUntil),
            logs: this.#output?.counters ?? record.logs,
          }
        : {},
    );
  }

  /** The try is not ours any more: the container is killed and removed and nothing is reported. */
  abandon(why: string): void {
    this.#let.abort(new LeaseGone(why));
  }

  /** Ends the walk and touches nothing: another process, or this one later, goes on from the journal. */
  leave(): void {
    this.#let.abort(new ProcessLeaves());
  }

  /** Resolves when the walk has ended and nothing of it is still being written. */
  async settled(): Promise<void> {
    await this.run();
    await this.#options.journal.settled();
  }

  async #run(): Promise<WalkEnd> {
    const { journal, log } = this.#options;
    try {
      const output = await this.#openOutput();
      this.#output = output;
      const context = this.#context(output);
      void this.#watchLease(context);
      await this.#walk(context);
      await output.close();
      await journal.remove();
      log.info({ reason: this.record.outcome?.reason }, 'task done');
      return 'done';
    } catch (thrown) {
      // Whatever ended the walk, the parts of it that still run have to end with it.
      this.#let.abort(toError(thrown));
      await this.#output
        ?.close()
        .catch((error: unknown) => log.error({ err: toError(error) }, 'output not closed'));
      if (this.#let.signal.reason instanceof ProcessLeaves) return 'left';
      const why = toError(this.#let.signal.reason);
      if (why instanceof LeaseGone) log.info({ why: why.message }, 'task given up: the lease is gone');
      else log.error({ err: why }, 'task given up');
      await this.#discard();
      return 'gone';
    }
  }

  async #walk(context: TaskContext): Promise<void> {
    const { journal, onNews } = this.#options;
    for (;;) {
      context.signal.throwIfAborted();
      const step = nextStep(journal.record);
      if (step === 'forget') return;
      await this.#takeStep(context, step);
      // That it runs is reported by itself, just now.
      if (journal.record.state !== 'running') onNews('state');
    }
  }

  /**
   * One step, as often as it takes. A failure that the step can name becomes the outcome at once; any other is
   * this machine's, after some tries.
   */
  async #takeStep(context: TaskContext, step: Exclude<TaskStep, 'forget'>): Promise<void> {
    const { journal, log } = this.#options;
    for (let tries = 1; ; tries += 1) {
      const startedAt = performance.now();
      try {
        await steps[step](context);
        log.info({ step, duration_ms: Math.round(performance.now() - startedAt) }, 'task step');
        return;
      } catch (thrown) {
        context.signal.throwIfAborted();
        if (thrown instanceof LeaseGone) throw thrown;
        if (thrown instanceof TaskFailure) {
          log.info({ step, reason: thrown.reason, err: thrown }, 'task failed');
          await journal.update({ outcome: { reason: thrown.reason, detail: thrown.message } });
          return;
        }
        log.warn({ step, tries, err: toError(thrown) }, 'task step failed');
        if (tries >= mostTries || thrown instanceof SpoolError) {
          await this.#blameMachine(context, step, toError(thrown));
          return;
        }
        await pause(backoffMs(tries - 1, retry), context.signal);
        // A stop that came meanwhile may ask for another step than this one.
        if (nextStep(journal.record) !== step) return;
      }
    }
  }

  /** The step cannot be done on this machine. A try that is not reported yet ends as the machine's error. */
  async #blameMachine({ journal, driver }: TaskContext, step: TaskStep, error: Error): Promise<void> {
    const { record } = journal;
    if (record.endReported || record.outcome?.reason === 'provider-error') {
      throw new Error(`${step} failed for good`, { cause: error });
    }
    if (record.containerId && !record.outcome)
      await driver.killTask(record.containerId).catch(() => undefined);
    await journal.update({ outcome: { reason: 'provider-error', detail: `${step}: ${error.message}` } });
  }

  #openOutput(): Promise<TaskOutput> {
    const { journal, reports, driver, clock, log } = this.#options;
    return TaskOutput.open({
      spoolPath: journal.files.spool,
      acknowledged: journal.record.logs.acknowledged,
      source: driver,
      send: (firstSeq, frames, signal) => reports.appendLogs(firstSeq, frames, signal),
      clock,
      log,
      signal: this.#let.signal,
    });
  }

  #context(output: TaskOutput): TaskContext {
    const { journal, reports } = this.#options;
    return {
      ...this.#options,
      output,
      witness: this.#witness,
      unstarted: { containerId: null },
      signal: this.#let.signal,
      halt: this.#halt.signal,
      expired: this.#expired.signal,
      stop: (cause) => this.stop(cause),
      onProgress: (progress) => {
        this.#progress = progress;
        this.#options.onNews('progress');
      },
      reportStarted: () => {
        this.#startReport ??= (async () => {
          if (!journal.record.startReported) {
            await reports.started(
              journal.record.image?.digest ?? journal.record.image?.id ?? null,
              this.#let.signal,
            );
          }
          // Output follows the start, so that no reader sees the second before the first.
          output.ship().catch((thrown: unknown) => this.#onShippingFailed(thrown));
          if (!journal.record.startReported) await journal.update({ startReported: true });
        })();
        this.#startReport.catch((thrown: unknown) => {
          this.#startReport = undefined;
          this.#onShippingFailed(thrown);
        });
        return this.#startReport;
      },
    };
  }

  /** What runs beside the walk learns that the lease is gone: so does the walk. */
  #onShippingFailed(thrown: unknown): void {
    if (this.#let.signal.aborted) return;
    if (thrown instanceof LeaseGone) this.#let.abort(thrown);
    else this.#options.log.error({ err: toError(thrown) }, 'output cannot be shipped');
  }

  /** Stops the program when nothing was heard of the orchestrator for a whole lease time. */
  async #watchLease({ signal, bootClock, journal, log }: TaskContext): Promise<void> {
    while (!signal.aborted) {
      const { record } = journal;
      if (record.aliveUntil && !mayRun(record)) return;
      const leftMs = record.aliveUntil ? msBetween(bootClock.now(), record.aliveUntil) : lookAgainMs;
      if (leftMs <= 0) {
        log.warn('nothing was heard of the orchestrator for a whole lease time: stopping the program');
        this.#expired.abort();
        await this.stop('lease-expired').catch((thrown: unknown) =>
          log.error({ err: toError(thrown) }, 'stop not kept'),
        );
        this.#halt.abort();
        return;
      }
      await pause(Math.min(leftMs, lookAgainMs), signal);
    }
  }

  async #discard(): Promise<void> {
    const { driver, journal, log } = this.#options;
    for (let tries = 0; tries < mostRemovals; tries += 1) {
      try {
        await driver.removeLease(this.record.spec.lease_id);
        await journal.remove();
        return;
      } catch (thrown) {
        log.warn({ err: toError(thrown), tries }, 'a given-up task could not be removed; trying again');
        await pause(backoffMs(tries, retry));
      }
    }
  }
}

/** Asked to stop before its program was started. */
async function giveUp({ journal }: TaskContext): Promise<void> {
  await journal.update(({ stop, stopDetail }) => (stop ? { outcome: outcomeOfStop(stop, stopDetail) } : {}));
}
