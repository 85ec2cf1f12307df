import { z } from 'zod';
import { timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { artifactId } from '../ids.ts';
import { jobRef } from './jobs.ts';

/** A file that the job wrote below `/outputs`. */
export const artifact = z
  .object({
    id: artifactId,
    attempt: z.number().int(),
    path: z.string().describe('Relative to /outputs.'),
    size_bytes: z.number().int(),
    sha256: z.string(),
    created_at: timestamp,
  })
  .meta({ id: 'Artifact' });
export type Artifact = z.infer<typeof artifact>;

export const listArtifacts = defineContract({
  id: 'listArtifacts',
  method: 'GET',
  path: '/v1/jobs/{job}/artifacts',
  summary: 'Result files of a job',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  reply: z.object({ items: z.array(artifact) }),
  status: 200,
  errors: ['job/not-found'],
});

export const downloadArtifact = defineContract({
  id: 'downloadArtifact',
  method: 'GET',
  path: '/v1/jobs/{job}/artifacts/{artifact}',
  summary: 'Download one result file',
  audience: 'user',
  params: z.strictObject({ job: jobRef, artifact: artifactId }),
  stream: 'application/octet-stream',
  status: 200,
  errors: ['job/not-found', 'artifact/not-found'],
});
