import { createHash } from 'node:crypto';
import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '@computefabric/protocol/limits';
import type { CheckpointManifest } from '@computefabric/protocol/provider-api/v1/checkpoints';
import type { StateEntry } from '../container/container-driver.ts';
import { ContainerError } from '../container/container-error.ts';

export interface Chunk {
  sha256: string;
  sizeBytes: number;
  /** Where its bytes lie on our disk. */
  file: string;
}

/** What the owner keeps of the disk whatever a job's state wants, bytes. */
const keptFreeBytes = 1_073_741_824;

/**
 * Cuts a state into chunks while it is read: memory for one chunk, and disk only for chunks that are new. What
 * is known to be stored is hashed and thrown away.
 */
export class StateCutter {
  readonly manifest: CheckpointManifest = { version: 1, folders: [], files: [], links: [] };
  /** Chunks that lie on our disk, by their hash. */
  readonly fresh = new Map<string, Chunk>();
  readonly #folder: string;
  readonly #known: ReadonlySet<string>;
  readonly #buffer = Buffer.allocUnsafe(limits.checkpointChunkBytes);
  readonly #byPath = new Map<string, CheckpointManifest['files'][number]>();

  /**
   * @param folder for the fresh chunks; emptied first
   * @param known hashes of chunks that need not be kept
   */
  static async open(folder: string, known: ReadonlySet<string>): Promise<StateCutter> {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return new StateCutter(folder, known);
  }

  private constructor(folder: string, known: ReadonlySet<string>) {
    this.#folder = folder;
    this.#known = known;
  }

  /** Takes one entry in; a `StateSink`. */
  async add(entry: StateEntry): Promise<void> {
    switch (entry.kind) {
      case 'folder': {
        const { path, mode, uid, gid } = entry;
        this.manifest.folders.push({ path, mode, uid, gid });
        return;
      }
      case 'link':
        this.manifest.links.push({ path: entry.path, target: entry.target });
        return;
      case 'same-as': {
        const first = this.#byPath.get(entry.of);
        if (!first) throw new ContainerError('state-unreadable', 'a hard link comes before its file');
        this.#keep({ ...first, path: entry.path });
        return;
      }
      case 'file': {
        const { path, mode, uid, gid, mtimeSeconds, sizeBytes } = entry;
        const chunks = await this.#cut(entry.content);
        this.#keep({ path, mode, uid, gid, mtime_seconds: mtimeSeconds, size_bytes: sizeBytes, chunks });
      }
    }
  }

  #keep(file: CheckpointManifest['files'][number]): void {
    this.manifest.files.push(file);
    this.#byPath.set(file.path, file);
  }

  async #cut(content: AsyncIterable<Uint8Array>): Promise<string[]> {
    const hashes: string[] = [];
    let filled = 0;
    for await (const part of content) {
      for (let at = 0; at < part.byteLength; ) {
        const taken = Math.min(part.byteLength - at, this.#buffer.byteLength - filled);
        this.#buffer.set(part.subarray(at, at + taken), filled);
        at += taken;
        filled += taken;
        if (filled < this.#buffer.byteLength) continue;
        hashes.push(await this.#chunk(filled));
        filled = 0;
      }
    }
    if (filled > 0) hashes.push(await this.#chunk(filled));
    return hashes;
  }

  async #chunk(sizeBytes: number): Promise<string> {
    const bytes = this.#buffer.subarray(0, sizeBytes);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    if (this.#known.has(sha256) || this.fresh.has(sha256)) return sha256;
    const { bavail, bsize } = await statfs(this.#folder);
    if (bavail * bsize - sizeBytes < keptFreeBytes) {
      throw new ContainerError('disk-full', "the machine's disk is too full to save the state");
    }
    const file = join(this.#folder, sha256);
    await writeFile(file, bytes, { mode: 0o600 });
    this.fresh.set(sha256, { sha256, sizeBytes, file });
    return sha256;
  }
}
