import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { leaseId } from '@computefabric/protocol/ids';
import { taskMachine } from '@computefabric/protocol/lease-state';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { invariant } from '@computefabric/runtime/invariant';
import type { Logger } from '@computefabric/runtime/log';
import { writeFileAtomically } from '../home/atomic-file.ts';
import { stateOf } from './task-machine.ts';
import { newTaskRecord, type TaskRecord, taskRecord } from './task-record.ts';

export interface TaskFiles {
  folder: string;
  journal: string;
  spool: string;
  /** Chunks of state on their way. */
  state: string;
  /** Result files on their way. */
  results: string;
  /** Written by the watchdog before it kills the container. */
  expired: string;
}

export function taskFiles(tasksFolder: string, lease: string): TaskFiles {
  const folder = join(tasksFolder, lease);
  return {
    folder,
    journal: join(folder, 'task.json'),
    spool: join(folder, 'output.spool'),
    state: join(folder, 'state'),
    results: join(folder, 'results'),
    expired: join(folder, 'expired'),
  };
}

/**
 * The facts of one task, in memory and on disk. On disk first: what `record` says survives the death of this
 * process. A power cut ends every program with it, so only what is known from a program's end on has to survive
 * that too; before it, waiting for the disk would only make jobs start later.
 */
export class TaskJournal {
  readonly files: TaskFiles;
  #record: TaskRecord;
  #saving: Promise<void> = Promise.resolve();
  #removed = false;

  private constructor(files: TaskFiles, record: TaskRecord) {
    this.files = files;
    this.#record = record;
  }

  /** Begins the journal of a task that was offered. */
  static async create(tasksFolder: string, spec: TaskSpec): Promise<TaskJournal> {
    const files = taskFiles(tasksFolder, spec.lease_id);
    await mkdir(files.folder, { recursive: true, mode: 0o700 });
    const journal = new TaskJournal(files, newTaskRecord(spec));
    await writeFileAtomically(files.journal, JSON.stringify(journal.#record), { durable: false });
    return journal;
  }

  /** Every task that an earlier process left; what cannot be read is no task and is left to the sweep. */
  static async loadAll(tasksFolder: string, log: Logger): Promise<TaskJournal[]> {
    const journals: TaskJournal[] = [];
    for (const { files, record } of await readRecords(tasksFolder, log)) {
      journals.push(new TaskJournal(files, record));
    }
    return journals;
  }

  get record(): Readonly<TaskRecord> {
    return this.#record;
  }

  /** The watchdog has ended this task, because its lease time was over. */
  get expiredByGuard(): boolean {
    return existsSync(this.files.expired);
  }

  /**
   * Adds facts. They are written when this resolves; updates are written one after the other.
   *
   * @param change facts, or what follows from the record as it is when their turn comes
   */
  update(
    change: Partial<TaskRecord> | ((record: Readonly<TaskRecord>) => Partial<TaskRecord>),
  ): Promise<void> {
    const saved = this.#saving.then(async () => {
      if (this.#removed) return;
      const next = { ...this.#record, ...(typeof change === 'function' ? change(this.#record) : change) };
      next.state = stateOf(next);
      const { state } = this.#record;
      invariant(
        state === next.state || canReach(state, next.state),
        `a task cannot go from ${state} to ${next.state}`,
      );
      await writeFileAtomically(this.files.journal, JSON.stringify(next), { durable: next.outcome !== null });
      this.#record = next;
    });
    // A failed write is for its caller to handle and must not stop the ones that follow.
    this.#saving = saved.catch(() => undefined);
    return saved;
  }

  /** Resolves when every update so far has been written, or has failed. */
  async settled(): Promise<void> {
    await this.#saving;
  }

  /** Nothing of the task is left. */
  async remove(): Promise<void> {
    await this.#saving;
    this.#removed = true;
    await rm(this.files.folder, { recursive: true, force: true });
  }
}

/** The records below a folder of tasks, for the agent and its watchdog. */
export async function readRecords(
  tasksFolder: string,
  log: Logger,
): Promise<Array<{ files: TaskFiles; record: TaskRecord }>> {
  const found: Array<{ files: TaskFiles; record: TaskRecord }> = [];
  for (const name of await readdir(tasksFolder)) {
    if (!leaseId.safeParse(name).success) continue;
    const files = taskFiles(tasksFolder, name);
    const record = await readRecord(files.journal, log);
    if (record) found.push({ files, record });
  }
  return found;
}

async function readRecord(path: string, log: Logger): Promise<TaskRecord | null> {
  try {
    return taskRecord.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    // Gone between listing and reading, or a folder whose first journal was never written: no task of ours.
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) {
      log.error({ path, err: error }, 'journal cannot be read');
    }
    return null;
  }
}

/** One update may hold several facts: whether some road of the protocol's machine leads from one to the other. */
function canReach(from: TaskRecord['state'], to: TaskRecord['state']): boolean {
  const seen = new Set([from]);
  for (const state of seen) {
    for (const next of taskMachine.states) if (taskMachine.canMove(state, next)) seen.add(next);
  }
  return seen.has(to);
}
