import { z } from 'zod';
import { defineContract } from '../../contract.ts';
import { checkpointId } from '../../ids.ts';
import { limits } from '../../limits.ts';
import { leaseHeaders, leaseParams } from './common.ts';
import { isSafeRelativePath } from './leases.ts';

/*
 * State that outlives a machine. Saving: begin → missing chunks → put those → commit the manifest; only the
 * commit makes a checkpoint, so one that breaks off never takes the place of the last. Restoring: manifest →
 * chunks, each held against its hash. Every call names lease and fence; a stale one changes nothing.
 */
const leaseErrors = ['lease/not-found', 'lease/stale', 'provider/session-stale'] as const;
const base = { audience: 'provider', params: leaseParams, headers: leaseHeaders } as const;

export const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hex');

const path = z
  .string()
  .min(1)
  .max(limits.artifactPathChars)
  .refine(isSafeRelativePath, 'must be a relative path without .., empty parts or control characters');
const owner = z.number().int().min(0).max(limits.int32.max);
/** Permission bits alone: never set-user-id, set-group-id or sticky. */
const mode = z.number().int().min(0).max(0o777);
const attributes = { path, mode, uid: owner, gid: owner };

/**
 * What a checkpoint holds: each file as its chunks, all but the last of `checkpointChunkBytes`. Its own hash is
 * that of its bytes.
 */
export const checkpointManifest = z
  .strictObject({
    version: z.literal(1),
    folders: z.array(z.strictObject(attributes)),
    files: z.array(
      z.strictObject({
        ...attributes,
        mtime_seconds: z.number().int().min(0).max(8_640_000_000),
        size_bytes: z.number().int().min(0).max(limits.checkpointBytes),
        chunks: z.array(sha256),
      }),
    ),
    links: z.array(z.strictObject({ path, target: z.string().min(1).max(limits.artifactPathChars) })),
  })
  .superRefine((manifest, context) => {
    const problem = findManifestProblem(manifest);
    if (problem) context.addIssue({ code: 'custom', message: problem });
  });
export type CheckpointManifest = z.output<typeof checkpointManifest>;

export const chunkCount = (sizeBytes: number) => Math.ceil(sizeBytes / limits.checkpointChunkBytes);

/** Bytes that chunk number `index` of a file must have. */
export function chunkSize(sizeBytes: number, index: number): number {
  return Math.min(limits.checkpointChunkBytes, sizeBytes - index * limits.checkpointChunkBytes);
}

/**
 * Whether a link may be kept: relative, and pointing at something inside the state, by its letters alone.
 *
 * @param link where it lies, relative to the state's root
 */
export function isInnerLink(link: string, target: string): boolean {
  if (target.startsWith('/') || /[\u0000-\u001f\u007f\\]/.test(target)) return false;
  let depth = link.split('/').length - 1;
  for (const part of target.split('/')) {
    if (part === '..') depth -= 1;
    else if (part !== '' && part !== '.') depth += 1;
    if (depth < 0) return false;
  }
  return true;
}

/** What the shape alone does not say; null when all is well. */
function findManifestProblem(manifest: {
  folders: { path: string }[];
  files: { path: string; size_bytes: number; chunks: string[] }[];
  links: { path: string; target: string }[];
}): string | null {
  const { folders, files, links } = manifest;
  if (folders.length + files.length + links.length > limits.checkpointFiles)
    return `must have at most ${limits.checkpointFiles} entries`;
  if (files.reduce((sum, file) => sum + file.size_bytes, 0) > limits.checkpointBytes)
    return `must be at most ${limits.checkpointBytes} bytes together`;
  const torn = files.find((file) => file.chunks.length !== chunkCount(file.size_bytes));
  if (torn) return `must have as many chunks as its size asks for: ${torn.path}`;
  const paths = [...folders, ...files, ...links].map((entry) => entry.path);
  if (new Set(paths).size !== paths.length) return 'must not name a path twice';
  const outside = links.find((link) => !isInnerLink(link.path, link.target));
  if (outside) return `must not link out of the state: ${outside.path}`;
  // Below a file or a link there is nothing: whoever unpacks never walks through a link.
  const leaves = new Set([...files, ...links].map((entry) => entry.path));
  const under = paths.find((each) => parentsOf(each).some((parent) => leaves.has(parent)));
  return under === undefined ? null : `must not lie below a file or a link: ${under}`;
}

function parentsOf(each: string): string[] {
  const parts = each.split('/');
  return parts.slice(1).map((_part, index) => parts.slice(0, index + 1).join('/'));
}

/**
 * A save begins: its moment, by the orchestrator's clock, is what the checkpoint is worth. `checkpoint_id` is
 * null when nobody will need it (the renter has cancelled).
 */
export const beginCheckpoint = defineContract({
  ...base,
  id: 'beginCheckpoint',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/checkpoints',
  summary: 'Begin to save the state of a job',
  body: z.strictObject({}),
  reply: z.object({ checkpoint_id: checkpointId.nullable() }),
  status: 200,
  errors: leaseErrors,
});

/** Which of these chunks the orchestrator does not have of this job. */
export const missingChunks = defineContract({
  ...base,
  id: 'missingChunks',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/missing-chunks',
  summary: 'Ask which chunks are missing',
  body: z.strictObject({ sha256: z.array(sha256).min(1).max(limits.checkpointChunksPerQuestion) }),
  reply: z.object({ missing: z.array(sha256) }),
  status: 200,
  errors: [...leaseErrors, 'checkpoint/not-found'],
});

export const putChunk = defineContract({
  ...base,
  id: 'putChunk',
  method: 'PUT',
  path: '/provider/v1/leases/{lease}/chunks',
  summary: 'Send one chunk of state',
  query: z.strictObject({
    sha256,
    size_bytes: z.coerce.number().int().min(1).max(limits.checkpointChunkBytes),
  }),
  binaryBody: 'application/octet-stream',
  reply: z.object({}),
  status: 200,
  errors: [...leaseErrors, 'checkpoint/not-found', 'checkpoint/no-room', 'artifact/hash-mismatch'],
});

/** The body is the manifest's JSON. All its chunks are stored, or nothing changes and `missing` names some. */
export const commitCheckpoint = defineContract({
  ...base,
  id: 'commitCheckpoint',
  method: 'PUT',
  path: '/provider/v1/leases/{lease}/checkpoints/{checkpoint}/manifest',
  summary: 'Complete a checkpoint',
  params: z.strictObject({ ...leaseParams.shape, checkpoint: checkpointId }),
  query: z.strictObject({
    sha256,
    kept: z.enum(['true']).optional().describe('The machine keeps this state for a next try there.'),
  }),
  binaryBody: 'application/octet-stream',
  reply: z.object({ missing: z.array(sha256).describe('Empty: the checkpoint is complete.') }),
  status: 200,
  errors: [
    ...leaseErrors,
    'checkpoint/not-found',
    'checkpoint/bad-manifest',
    'checkpoint/no-room',
    'artifact/hash-mismatch',
    'request/too-large',
  ],
});

/**
 * The state that the try begins with. The manifest comes as text, to be held against its hash. Where ours is
 * damaged (`checkpoint/damaged`) the job's next try begins with the checkpoint before.
 */
export const readState = defineContract({
  ...base,
  id: 'readState',
  method: 'GET',
  path: '/provider/v1/leases/{lease}/state',
  summary: 'The state that the try begins with',
  reply: z.object({
    checkpoint_id: checkpointId,
    manifest_sha256: sha256,
    manifest: z.string(),
  }),
  status: 200,
  errors: [...leaseErrors, 'checkpoint/not-found', 'checkpoint/damaged'],
});

export const readStateChunk = defineContract({
  ...base,
  id: 'readStateChunk',
  method: 'GET',
  path: '/provider/v1/leases/{lease}/state/chunks/{sha256}',
  summary: 'One chunk of the state that the try begins with',
  params: z.strictObject({ ...leaseParams.shape, sha256 }),
  stream: 'application/octet-stream',
  status: 200,
  errors: [...leaseErrors, 'checkpoint/not-found', 'checkpoint/damaged'],
});
