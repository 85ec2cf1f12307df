import { randomUUID } from 'node:crypto';
import { chmod, lstat, open, realpath, rename, rm, symlink, utimes } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import type { CheckpointManifest } from '@computefabric/protocol/provider-api/v1/checkpoints';
import { CliError } from '../errors/cli-error.ts';
import { makeFolderInside, targetOf } from './safe-target.ts';

interface StateSource {
  manifest: CheckpointManifest;
  /** The bytes of a chunk, held against its hash. */
  chunk: (sha256: string) => Promise<Uint8Array>;
  /** Told of each file when it is whole. */
  onFile: (path: string, sizeBytes: number) => void;
}

/** Bits that its new owner needs to read the state and to remove it. */
const ownerReads = 0o600;
const ownerEnters = 0o700;

/**
 * Makes the saved state of a job again in a folder: its folders, files and links, with their permissions but not
 * their owners. A file has its name only when it is whole. What is there already is kept, unless `force`.
 *
 * @returns links that were left out, because they lead out of the folder, or nowhere
 * @throws CliError `cli/file` when something is there already, or a name is not safe to write
 */
export async function writeState(
  { manifest, chunk, onFile }: StateSource,
  folder: string,
  force: boolean,
): Promise<string[]> {
  const entries = [...manifest.files, ...manifest.links];
  for (const { path } of entries) await requireFree(targetOf(path, folder), force);
  await makeFolderInside(folder, folder);
  for (const { path } of manifest.folders) await makeFolderInside(targetOf(path, folder), folder);
  for (const { path, chunks, mode, mtime_seconds, size_bytes } of manifest.files) {
    const target = targetOf(path, folder);
    await makeFolderInside(dirname(target), folder);
    await writeWhole(target, chunks, chunk);
    await chmod(target, mode | ownerReads);
    await utimes(target, mtime_seconds, mtime_seconds);
    onFile(path, size_bytes);
  }
  const left = await makeLinks(manifest, folder);
  for (const { path, mode } of manifest.folders.toReversed())
    await chmod(join(folder, path), mode | ownerEnters);
  return left;
}

async function writeWhole(target: string, chunks: readonly string[], chunk: StateSource['chunk']) {
  const unfinished = `${target}.${randomUUID().slice(0, 8)}.partial`;
  const file = await open(unfinished, 'wx', ownerReads);
  try {
    try {
      for (const sha256 of chunks) await file.writeFile(await chunk(sha256));
    } finally {
      await file.close();
    }
    await rename(unfinished, target);
  } catch (thrown) {
    await rm(unfinished, { force: true });
    throw thrown;
  }
}

/** Last of all, so that nothing is written through one. Each alone leads nowhere bad; several together might. */
async function makeLinks({ links }: CheckpointManifest, folder: string): Promise<string[]> {
  const made: string[] = [];
  for (const { path, target } of links) {
    const link = targetOf(path, folder);
    await makeFolderInside(dirname(link), folder);
    await rm(link, { force: true });
    await symlink(target, link);
    made.push(path);
  }
  const inside = await realpath(folder);
  const left: string[] = [];
  for (const path of made) {
    const link = join(folder, path);
    // Where a link that leads to nothing would lead cannot be told.
    const end = await realpath(link).catch(() => null);
    if (end === inside || end?.startsWith(inside + sep)) continue;
    await rm(link);
    left.push(path);
  }
  return left;
}

async function requireFree(path: string, force: boolean): Promise<void> {
  const there = await lstat(path).catch((thrown: unknown) => {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return null;
    throw thrown;
  });
  if (!there || (force && !there.isDirectory())) return;
  throw new CliError({
    code: 'cli/file',
    message: `${path} exists`,
    help: ['overwrite it with --force, or choose a folder with --download DIR'],
    exit: 'error',
  });
}
