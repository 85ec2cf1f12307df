import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import type { CheckpointId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import { toError } from '@computefabric/runtime/errors';
import { pause } from '@computefabric/runtime/wait';
import { ContainerError, isContainerError } from '../container/container-error.ts';
import { CallRefused } from '../control-plane/client.ts';
import { LeaseGone } from '../control-plane/lease-reports.ts';
import { msBetween } from '../home/boot-clock.ts';
import type { TaskContext } from '../tasks/task-context.ts';
import { StateCutter } from './cut-state.ts';
import { chunksOf } from './kept-states.ts';

/** A program stands still while its state is read; a larger or slower state is not saved. */
const frozenSeconds = 120;
/** The renter's own command before a save. */
const commandSeconds = 300;
/** From reading to the commit, over whatever line; the last save holds up the job and the machine's room. */
const saveMs = 3_600_000;
const lastSaveMs = 600_000;
/** Chunks that are sent at once. */
const senders = 4;
/** A chunk that was there when asked can be gone when it counts; after so many rounds the save is given up. */
const mostRounds = 4;

type SavingTask = Pick<
  TaskContext,
  'journal' | 'driver' | 'reports' | 'output' | 'log' | 'bootClock' | 'states'
>;

/** Saves the state of a running program at its job's pace until the signal aborts. One save at a time. */
export async function keepSaving(task: SavingTask, containerId: string, signal: AbortSignal): Promise<void> {
  const { spec, startedAt } = task.journal.record;
  if (!spec.checkpoint || !startedAt) return;
  // An agent that died in the middle of a save has left the program frozen.
  await task.driver.thawTask(containerId).catch((thrown: unknown) => {
    if (!isContainerError(thrown)) throw thrown;
    task.log.warn({ err: thrown }, 'could not make sure that the program runs');
  });
  const everyMs = spec.checkpoint.every_seconds * 1_000;
  const saver = new StateSaver(task, containerId);
  let dueMs = everyMs - msBetween(startedAt, task.bootClock.now());
  while (!signal.aborted) {
    await pause(Math.max(dueMs, 0), signal);
    if (signal.aborted) return;
    const begun = performance.now();
    await saver.save(signal, saveMs);
    dueMs = everyMs - (performance.now() - begun);
  }
}

/** Saves the state that an ended program has left, for the next machine. */
export async function saveLastState(
  task: SavingTask,
  containerId: string,
  signal: AbortSignal,
): Promise<void> {
  await new StateSaver(task, containerId).save(signal, lastSaveMs);
}

/**
 * Brings the state of a task to the orchestrator, each time only what has changed. A save that fails leaves the
 * last one as it is, says so in the job's output (once), and the next is tried at its time.
 */
class StateSaver {
  readonly #task: SavingTask;
  readonly #containerId: string;
  /** Chunks of the last checkpoint: stored for as long as it is one of the newest two. */
  #known: ReadonlySet<string> = new Set();
  /** The last checkpoint, where this machine keeps it. */
  #kept: CheckpointId | null = null;

  constructor(task: SavingTask, containerId: string) {
    this.#task = task;
    this.#containerId = containerId;
  }

  /**
   * @returns whether there is a new checkpoint
   * @throws LeaseGone
   */
  async save(outer: AbortSignal, deadlineMs: number): Promise<boolean> {
    const { output, log, journal } = this.#task;
    const signal = AbortSignal.any([outer, AbortSignal.timeout(deadlineMs)]);
    try {
      return await this.#save(signal);
    } catch (thrown) {
      if (thrown instanceof LeaseGone) throw thrown;
      if (outer.aborted) return false;
      this.#known = new Set();
      log.warn({ err: toError(thrown) }, 'the state could not be saved');
      await output.remark('state-not-saved', `The state could not be saved: ${describe(thrown)}\n`);
      return false;
    } finally {
      await rm(journal.files.state, { recursive: true, force: true }).catch((thrown: unknown) =>
        log.warn({ err: toError(thrown) }, 'chunks of state could not be removed'),
      );
    }
  }

  async #save(signal: AbortSignal): Promise<boolean> {
    const { journal, driver, reports, output, log, states } = this.#task;
    const { checkpoint: terms, job_id: job } = journal.record.spec;
    if (!terms) return false;
    const startedAt = performance.now();
    if (terms.command !== null && !journal.record.exit && !(await this.#runCommand(terms.command, signal)))
      return false;
    // Before the state is read: work up to this moment is in it, and not a moment more is claimed.
    const checkpoint = await reports.beginCheckpoint(signal);
    if (checkpoint === null) return false;
    // It has given way to others: what is to be kept is all of the next one.
    if (this.#kept !== null && !states.holds(job, this.#kept)) this.#known = new Set();
    const cutter = await StateCutter.open(journal.files.state, this.#known);
    const { bytes, skipped, skippedCount } = await driver.readState(
      this.#containerId,
      terms.path,
      { maxEntries: limits.checkpointFiles, maxBytes: limits.checkpointBytes },
      (entry) => cutter.add(entry),
      { frozenSeconds, signal },
    );
    const manifest = Buffer.from(JSON.stringify(cutter.manifest));
    if (manifest.byteLength > limits.checkpointManifestBytes) {
      throw new ContainerError('state-too-large', 'the names of the files in it are too long together');
    }
    const sha256 = createHash('sha256').update(manifest).digest('hex');
    const chunks = chunksOf(cutter.manifest);
    const kept = states.fits(sumOf(chunks));
    let missing = await this.#askMissing([...cutter.fresh.keys()], signal);
    for (let round = 0; ; round += 1) {
      await this.#send(cutter, missing, signal);
      missing = await reports.commitCheckpoint(checkpoint, { sha256, bytes: manifest, kept }, signal);
      if (missing.length === 0) break;
      if (round === mostRounds) throw new Error('the market keeps losing chunks of it');
    }
    this.#known = new Set(chunks.keys());
    const isKept = kept && (await states.keep(job, checkpoint, chunks, cutter.fresh.values()));
    this.#kept = isKept ? checkpoint : null;
    log.info(
      {
        checkpoint_id: checkpoint,
        bytes,
        fresh_chunks: cutter.fresh.size,
        duration_ms: Math.round(performance.now() - startedAt),
      },
      'state saved',
    );
    if (skippedCount > 0) {
      const more = skippedCount > skipped.length ? `, and ${skippedCount - skipped.length} more` : '';
      await output.remark('state-not-saved', `Not saved from ${terms.path}: ${skipped.join(', ')}${more}.\n`);
    }
    return true;
  }

  /** False when the program has ended meanwhile, which is no failure. */
  async #runCommand(command: string | string[], signal: AbortSignal): Promise<boolean> {
    const { driver } = this.#task;
    try {
      const options = { deadlineSeconds: commandSeconds, signal };
      const { exitCode, output } = await driver.runInside(this.#containerId, command, options);
      signal.throwIfAborted();
      if (exitCode === 0) return true;
      const how = exitCode === null ? `took longer than ${commandSeconds} s` : `ended with ${exitCode}`;
      throw new CommandFailed(`the checkpoint command ${how}${output ? `: ${output}` : ''}`);
    } catch (thrown) {
      if (isContainerError(thrown, 'task-not-running', 'task-not-found')) return false;
      throw thrown;
    }
  }

  async #askMissing(hashes: string[], signal: AbortSignal): Promise<string[]> {
    const missing: string[] = [];
    for (let at = 0; at < hashes.length; at += limits.checkpointChunksPerQuestion) {
      const question = hashes.slice(at, at + limits.checkpointChunksPerQuestion);
      missing.push(...(await this.#task.reports.missingChunks(question, signal)));
    }
    return missing;
  }

  async #send(cutter: StateCutter, hashes: readonly string[], signal: AbortSignal): Promise<void> {
    const queue = [...hashes];
    const failed = new AbortController();
    const either = AbortSignal.any([signal, failed.signal]);
    const send = async () => {
      for (let hash = queue.shift(); hash !== undefined; hash = queue.shift()) {
        const chunk = cutter.fresh.get(hash);
        // It was there for the last checkpoint and is not any more: the next save starts from nothing.
        if (!chunk) throw new Error('the market misses a chunk of the last save');
        await this.#task.reports.putChunk(chunk, either);
      }
    };
    try {
      await Promise.all(Array.from({ length: senders }, send));
    } finally {
      failed.abort();
    }
  }
}

function sumOf(chunks: ReadonlyMap<string, number>): number {
  return [...chunks.values()].reduce((sum, bytes) => sum + bytes, 0);
}

class CommandFailed extends Error {}

/** What the renter may know of a failure: its own doing in words, ours in general. */
function describe(thrown: unknown): string {
  if (thrown instanceof CommandFailed) return `${thrown.message}.`;
  if (isContainerError(thrown, 'state-too-large', 'state-unreadable', 'disk-full'))
    return `${thrown.message}.`;
  if (thrown instanceof CallRefused) return `${thrown.code}.`;
  return 'the machine or the way to the market failed; it is tried again at the next time.';
}
