import { mkdir, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointId, type CheckpointId, type JobId, jobId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import {
  type CheckpointManifest,
  chunkSize,
  sha256,
} from '@computefabric/protocol/provider-api/v1/checkpoints';
import type { KeptState } from '@computefabric/protocol/provider-api/v1/session';
import { toError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import { z } from 'zod';
import { writeFileAtomically } from '../home/atomic-file.ts';
import { isChunk } from './restore-archive.ts';

export interface KeptStatesOptions {
  /** A folder of its own, with one folder per job in it. */
  folder: string;
  /** Most that all of it together may take; 0 keeps nothing. */
  budgetBytes: number;
  log: Logger;
}

/** What is kept gives way when the disk has less free than this, bytes. */
const keptFreeBytes = 2_147_483_648;
/** Nobody has come back for it for so long: a day, as long as the market keeps checkpoints after a job's end. */
const longestUnusedMs = 86_400_000;

const indexName = 'state.json';
const index = z.strictObject({
  checkpoint_id: checkpointId,
  chunks: z.record(sha256, z.number().int().min(1).max(limits.checkpointChunkBytes)),
  used_at_ms: z.number(),
});

interface Kept {
  checkpointId: CheckpointId;
  chunks: ReadonlyMap<string, number>;
  bytes: number;
  usedAtMs: number;
}

/** Each chunk of a state once, with its size. */
export function chunksOf(manifest: CheckpointManifest): Map<string, number> {
  return new Map(
    manifest.files.flatMap((file) =>
      file.chunks.map((hash, at): [string, number] => [hash, chunkSize(file.size_bytes, at)]),
    ),
  );
}

/**
 * Saved state of jobs that this machine has run, for their next tries: what lies here need not be fetched again.
 * By job, and not by what the bytes are: the same bytes of two jobs lie here twice, so no job can find out, by how
 * fast its state comes back, what another one has. Only the list of files that the market gives for a try says
 * which chunks of that job's folder are read, and each is held against its hash.
 *
 * Whole states only, the least lately used go first. Nothing here is needed: whatever fails costs a download, and
 * is logged.
 */
export class KeptStates {
  /** Grows when what `list` tells may have changed. */
  version = 0;
  /** Called then. */
  onChange: () => void = () => undefined;
  readonly #options: KeptStatesOptions;
  readonly #kept = new Map<JobId, Kept>();
  /** Being filled: what it will be, in bytes. */
  readonly #filling = new Map<JobId, number>();

  /** Takes up what is there; all of it goes where nothing is to be kept. */
  static async open(options: KeptStatesOptions): Promise<KeptStates> {
    const states = new KeptStates(options);
    if (options.budgetBytes === 0) await rm(options.folder, { recursive: true, force: true });
    else await states.#takeUp();
    return states;
  }

  private constructor(options: KeptStatesOptions) {
    this.#options = options;
  }

  /** What is told to the market, lately used first. */
  list(): KeptState[] {
    return [...this.#kept]
      .toSorted(([, a], [, b]) => b.usedAtMs - a.usedAtMs)
      .slice(0, limits.keptStates)
      .map(([job_id, { checkpointId: checkpoint_id }]) => ({ job_id, checkpoint_id }));
  }

  get bytes(): number {
    return [...this.#kept.values()].reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Whether a state of this size would be kept. */
  fits(bytes: number): boolean {
    return bytes > 0 && bytes <= this.#options.budgetBytes;
  }

  /** Whether this state of the job lies here. */
  holds(job: JobId, id: CheckpointId): boolean {
    return this.#kept.get(job)?.checkpointId === id;
  }

  /** A chunk of a job's state, if it lies here and is what it should be. */
  async read(job: JobId, hash: string): Promise<Buffer | null> {
    if (this.#options.budgetBytes === 0) return null;
    const path = join(this.#folderOf(job), sha256.parse(hash));
    try {
      const bytes = await readFile(path);
      if (isChunk(bytes, hash)) return bytes;
      this.#options.log.warn({ job_id: job, sha256: hash }, 'a kept chunk has changed on the disk; removed');
      await rm(path, { force: true });
    } catch (thrown) {
      if (!isNotThere(thrown))
        this.#options.log.warn({ err: toError(thrown) }, 'a kept chunk cannot be read');
    }
    return null;
  }

  /**
   * Makes room for a state and drops what the job's folder holds of others. Chunks come next, `complete` last.
   *
   * @returns false where it is not to be kept: it is too large, or the disk is too full
   */
  async begin(job: JobId, chunks: ReadonlyMap<string, number>): Promise<boolean> {
    const bytes = sum(chunks.values());
    if (!this.fits(bytes)) {
      if (this.#options.budgetBytes > 0) await this.forget(job);
      return false;
    }
    return await this.#orForget(job, async () => {
      const folder = this.#folderOf(job);
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // Without its list a folder is nothing: one that is half filled is cleared at the next start.
      await rm(join(folder, indexName), { force: true });
      this.#filling.set(job, bytes);
      let missing = bytes;
      for (const name of await readdir(folder)) {
        const path = join(folder, name);
        if (chunks.has(name)) missing -= (await stat(path)).size;
        else await rm(path, { force: true });
      }
      await this.#makeRoom(job);
      if ((await this.#freeBytes()) - missing < keptFreeBytes) throw new Error('the disk is too full');
    });
  }

  /**
   * Keeps a state that has just been saved. What is new of it is moved here; the rest lies here from the save before.
   *
   * @returns whether it is kept
   */
  async keep(
    job: JobId,
    id: CheckpointId,
    chunks: ReadonlyMap<string, number>,
    fresh: Iterable<{ sha256: string; file: string }>,
  ): Promise<boolean> {
    if (!(await this.begin(job, chunks))) return false;
    const moved = await this.#orForget(job, async () => {
      for (const { sha256: hash, file } of fresh) await rename(file, join(this.#folderOf(job), hash));
    });
    return moved && (await this.complete(job, id, chunks));
  }

  async put(job: JobId, hash: string, bytes: Uint8Array): Promise<void> {
    if (!this.#filling.has(job)) return;
    await writeFile(join(this.#folderOf(job), hash), bytes, { mode: 0o600 }).catch((thrown: unknown) => {
      this.#options.log.warn({ err: toError(thrown) }, 'a chunk of state could not be kept');
    });
  }

  /** All of a state's chunks have been taken in. @returns whether they have */
  async complete(job: JobId, id: CheckpointId, chunks: ReadonlyMap<string, number>): Promise<boolean> {
    return await this.#orForget(job, async () => {
      const folder = this.#folderOf(job);
      const usedAtMs = Date.now();
      for (const [hash, size] of chunks) {
        if ((await stat(join(folder, hash))).size !== size) throw new Error(`chunk ${hash} has another size`);
      }
      const content = { checkpoint_id: id, chunks: Object.fromEntries(chunks), used_at_ms: usedAtMs };
      await writeFileAtomically(join(folder, indexName), JSON.stringify(content), { durable: false });
      this.#filling.delete(job);
      this.#kept.set(job, { checkpointId: id, chunks, bytes: sum(chunks.values()), usedAtMs });
      this.#changed();
    });
  }

  /** Nothing of this job is needed any more, or it could not be kept. */
  async forget(job: JobId): Promise<void> {
    const { log } = this.#options;
    this.#kept.delete(job);
    this.#filling.delete(job);
    await rm(this.#folderOf(job), { recursive: true, force: true }).catch((thrown: unknown) =>
      log.warn({ job_id: job, err: toError(thrown) }, 'kept state could not be removed'),
    );
    this.#changed();
  }

  #changed(): void {
    this.version += 1;
    this.onChange();
  }

  /** Now and then: what nobody came back for, what the disk has no room for, and what somebody removed. */
  async tidy(nowMs: number): Promise<void> {
    if (this.#options.budgetBytes === 0) return;
    for (const [job, { usedAtMs }] of this.#inOrder()) {
      const isThere = await stat(join(this.#folderOf(job), indexName)).then(
        () => true,
        () => false,
      );
      if (!isThere || nowMs - usedAtMs > longestUnusedMs) await this.forget(job);
    }
    for (const [job] of this.#inOrder()) {
      if ((await this.#freeBytes()) >= keptFreeBytes) return;
      await this.forget(job);
    }
  }

  /** Nobody waits for what is kept: a failure here is only told, and the job's folder removed. */
  async #orForget(job: JobId, work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      this.#options.log.warn({ job_id: job, err: toError(thrown) }, 'state not kept for a next try');
      await this.forget(job);
      return false;
    }
  }

  /** Others give way, the least lately used first, until all that is kept and comes fits. */
  async #makeRoom(filling: JobId): Promise<void> {
    const others = this.#inOrder().filter(([job]) => job !== filling);
    let bytes = sum(others.map(([, kept]) => kept.bytes)) + sum(this.#filling.values());
    let count = others.length + 1;
    for (const [job, kept] of others) {
      if (bytes <= this.#options.budgetBytes && count <= limits.keptStates) return;
      await this.forget(job);
      bytes -= kept.bytes;
      count -= 1;
    }
  }

  /** Not while it is being filled anew: those that are filled. */
  #inOrder(): [JobId, Kept][] {
    return [...this.#kept]
      .filter(([job]) => !this.#filling.has(job))
      .toSorted(([, a], [, b]) => a.usedAtMs - b.usedAtMs);
  }

  async #takeUp(): Promise<void> {
    const { folder, budgetBytes } = this.#options;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const name of await readdir(folder)) {
      const job = jobId.safeParse(name);
      if (job.success) await this.#takeUpJob(job.data);
      else await rm(join(folder, name), { recursive: true, force: true });
    }
    for (const [job] of this.#inOrder()) {
      if (this.bytes <= budgetBytes) break;
      await this.forget(job);
    }
    await this.tidy(Date.now());
  }

  async #takeUpJob(job: JobId): Promise<void> {
    try {
      const folder = this.#folderOf(job);
      const read = index.parse(JSON.parse(await readFile(join(folder, indexName), 'utf8')));
      const chunks = new Map(Object.entries(read.chunks));
      for (const [hash, size] of chunks) {
        if ((await stat(join(folder, hash))).size !== size) throw new Error('a chunk has another size');
      }
      this.#kept.set(job, {
        checkpointId: read.checkpoint_id,
        chunks,
        bytes: sum(chunks.values()),
        usedAtMs: read.used_at_ms,
      });
    } catch {
      // Half filled when the process ended, or meddled with: it is fetched again when it is needed.
      await this.forget(job);
    }
  }

  async #freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.#options.folder);
    return bavail * bsize;
  }

  #folderOf(job: JobId): string {
    return join(this.#options.folder, jobId.parse(job));
  }
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function isNotThere(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
}
