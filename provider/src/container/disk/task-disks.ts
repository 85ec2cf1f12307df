import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toError } from '@computefabric/runtime/errors';
import { ContainerError } from '../container-error.ts';
import { runTool } from '../network/run-tool.ts';

/** Left for the owner's machine whatever tasks write. */
const KEPT_BYTES = 2 * 2 ** 30;
/** Below this a file system has no room for a task. */
const LEAST_BYTES = 16 * 2 ** 20;
/** A small file for each 16 KiB, and a bound on what listing and removing them takes. */
const BYTES_PER_INODE = 16_384;
const MOST_INODES = 2_000_000;

/** Without a journal: nobody reads it after a crash. Nothing is kept for root, and blocks are written when needed. */
const formatOptions = [
  '-q',
  '-F',
  '-m',
  '0',
  '-O',
  '^has_journal,^resize_inode',
  '-E',
  'nodiscard,root_owner=0:0',
];

/** A file system that no task has yet. Not using it is `discard`. */
export interface TaskDisk {
  bytes: number;
  /** Puts it under the container's writable layer, before anything is written there. */
  attach(upperDirectory: string): Promise<void>;
  discard(): Promise<void>;
}

/**
 * Gives each task a file system of its own to write into, with an end. The engine's usual storage has no quota: what a
 * task writes is a directory on the owner's disk. So a file of the given size becomes a file system, which is mounted
 * over the directory of the container's writable layer before the container is first started. For the task nothing is
 * different, until it has written so much: "no space left on device".
 *
 * The file has no name as soon as it is mounted, and the engine unmounts what is in the way when it removes a container.
 * So nothing of it needs to be cleaned up, whoever removes the container, and nothing stays after a crash.
 */
export class TaskDisks {
  readonly #folder: string;

  /** @param folder on the disk that tasks may fill to their limits */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes a file system of at most that size: less when the owner's disk has less to give. Sparse: it costs what is written. */
  async make(bytes: number): Promise<TaskDisk> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const { bavail, bsize } = await statfs(this.#folder);
    const size = Math.floor(Math.min(bytes, bavail * bsize - KEPT_BYTES) / 4_096) * 4_096;
    if (size < LEAST_BYTES) {
      throw new ContainerError('disk-full', 'the disk of this machine has no room for what a task writes');
    }
    const path = join(this.#folder, `${randomBytes(8).toString('hex')}.ext4`);
    const discard = () => rm(path, { force: true });
    try {
      const file = await open(path, 'wx', 0o600);
      try {
        await file.truncate(size);
      } finally {
        await file.close();
      }
      const inodes = String(Math.min(MOST_INODES, Math.ceil(size / BYTES_PER_INODE)));
      await runTool('mkfs.ext4', [...formatOptions, '-N', inodes, path]);
    } catch (thrown) {
      await discard();
      throw thrown;
    }
    return { bytes: size, discard, attach: (upperDirectory) => attach(path, upperDirectory) };
  }
}

/** The directories that the engine's overlay driver keeps of a layer; see `overlay2` in its source. */
async function attach(path: string, upperDirectory: string): Promise<void> {
  const layer = dirname(upperDirectory);
  if (!/\/overlay2\/[0-9a-f]{64}$/.test(layer) || upperDirectory !== join(layer, 'diff')) {
    throw new Error(`the writable layer is not where it is expected: ${upperDirectory}`);
  }
  try {
    const files = await Promise.all(
      ['link', 'lower'].map(async (name) => [name, await readFile(join(layer, name))] as const),
    );
    await runTool('mount', ['-t', 'ext4', '-o', 'loop,nodev,nosuid,noatime', path, layer]);
    for (const [name, content] of files) await writeFile(join(layer, name), content, { mode: 0o644 });
    await mkdir(upperDirectory);
    await chmod(upperDirectory, 0o755);
    await mkdir(join(layer, 'work'), { mode: 0o700 });
    await chmod(layer, 0o710);
  } catch (thrown) {
    throw new Error(`the disk of a task: ${toError(thrown).message}`, { cause: thrown });
  } finally {
    // The mount holds on to what is in it. Without a mount there is nothing to keep.
    await rm(path, { force: true });
  }
}
