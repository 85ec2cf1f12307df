import { z } from 'zod';
import { timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { checkpointId, leaseId } from '../ids.ts';
import { sha256 } from '../provider-api/v1/checkpoints.ts';
import { jobRef } from './jobs.ts';

export const checkpointStates = ['arriving', 'complete', 'damaged'] as const;
export const checkpointState = z.enum(checkpointStates).meta({ id: 'CheckpointState' });
export type CheckpointState = z.infer<typeof checkpointState>;

/** State of a job that the market keeps. The newest two are kept, and none some time after the job's end. */
export const checkpointView = z
  .object({
    id: checkpointId,
    lease_id: leaseId,
    attempt: z.number().int().describe('The try that saved it.'),
    state: checkpointState.describe('A damaged one cannot be used; the one before it is.'),
    files: z.number().int(),
    size_bytes: z.number().int(),
    new_bytes: z.number().int().describe('What had to be sent of it; the rest was there already.'),
    taken_at: timestamp.describe('The state as of this moment.'),
    next: z.boolean().describe('A next try of the job begins with it.'),
  })
  .meta({ id: 'Checkpoint' });
export type CheckpointView = z.infer<typeof checkpointView>;

export const listCheckpoints = defineContract({
  id: 'listCheckpoints',
  method: 'GET',
  path: '/v1/jobs/{job}/checkpoints',
  summary: 'Saved state of a job, newest first',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  reply: z.object({ items: z.array(checkpointView) }),
  status: 200,
  errors: ['job/not-found'],
});

/** What a checkpoint holds, as text to be held against its hash. The text is a `CheckpointManifest`. */
export const getCheckpoint = defineContract({
  id: 'getCheckpoint',
  method: 'GET',
  path: '/v1/jobs/{job}/checkpoints/{checkpoint}',
  summary: 'The list of what a checkpoint holds',
  audience: 'user',
  params: z.strictObject({ job: jobRef, checkpoint: checkpointId }),
  reply: z.object({ checkpoint_id: checkpointId, manifest_sha256: sha256, manifest: z.string() }),
  status: 200,
  errors: ['job/not-found', 'checkpoint/not-found', 'checkpoint/damaged'],
});

export const downloadChunk = defineContract({
  id: 'downloadChunk',
  method: 'GET',
  path: '/v1/jobs/{job}/checkpoints/{checkpoint}/chunks/{sha256}',
  summary: 'One chunk of a checkpoint',
  audience: 'user',
  params: z.strictObject({ job: jobRef, checkpoint: checkpointId, sha256 }),
  stream: 'application/octet-stream',
  status: 200,
  errors: ['job/not-found', 'checkpoint/not-found', 'checkpoint/damaged'],
});
