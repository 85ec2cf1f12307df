import { z } from 'zod';
import { timestamp } from '../../common.ts';
import { defineContract } from '../../contract.ts';
import { reportedEndReason } from '../../end-reason.ts';
import { limits } from '../../limits.ts';
import { countersignature, meteringRecord } from '../../receipts/metering.ts';
import { registryLogin } from '../../registry-login.ts';
import { leaseHeaders, leaseParams } from './common.ts';

/*
 * The life of a lease, told by the agent: accept → started → (logs…) → exited → (artifacts, last logs) →
 * ended → released. Each call may be sent again after a lost answer: the same call on the current fence gets
 * the same answer, any call on an old one gets lease/stale and changes nothing.
 */
const leaseErrors = ['lease/not-found', 'lease/stale', 'provider/session-stale'] as const;
const base = { audience: 'provider', params: leaseParams, headers: leaseHeaders } as const;
const done = z.object({});
const exitCode = z.number().int().min(limits.int32.min).max(limits.int32.max).nullable();

export const acceptLease = defineContract({
  ...base,
  id: 'acceptLease',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/accept',
  summary: 'Take an offer',
  body: z.strictObject({}),
  reply: z.object({ lease_ttl_seconds: z.number() }),
  status: 200,
  errors: leaseErrors,
});

export const rejectLease = defineContract({
  ...base,
  id: 'rejectLease',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/reject',
  summary: 'Decline an offer',
  body: z.strictObject({ reason: z.string().max(500) }),
  reply: done,
  status: 200,
  errors: leaseErrors,
});

/** The login of the image's registry, for as long as the try is the machine's; null where the job brought none. */
export const readRegistryLogin = defineContract({
  ...base,
  id: 'readRegistryLogin',
  method: 'GET',
  path: '/provider/v1/leases/{lease}/registry-login',
  summary: 'What the registry of the image wants',
  reply: z.object({ login: registryLogin.nullable() }),
  status: 200,
  errors: leaseErrors,
});

/** The program runs: the meter starts at the moment the orchestrator accepts this. */
export const startedLease = defineContract({
  ...base,
  id: 'startedLease',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/started',
  summary: 'The container has started',
  body: z.strictObject({ image_digest: z.string().max(256).nullable() }),
  reply: done,
  status: 200,
  errors: leaseErrors,
});

/** Binary frames (log-frames.ts). Chunks already stored are skipped; a gap is refused by telling next_seq. */
export const appendLogs = defineContract({
  ...base,
  id: 'appendLogs',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/logs',
  summary: 'Send output',
  query: z.strictObject({ first_seq: z.coerce.number().int().min(0) }),
  binaryBody: 'application/octet-stream',
  reply: z.object({ next_seq: z.number().int().describe('All chunks before this one are stored.') }),
  status: 200,
  errors: [...leaseErrors, 'lease/bad-frames', 'request/too-large'],
});

/** The program has ended: the meter stops at the moment the orchestrator accepts this. */
export const exitedLease = defineContract({
  ...base,
  id: 'exitedLease',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/exited',
  summary: 'The program has ended; results are being saved',
  body: z.strictObject({ exit_code: exitCode }),
  reply: done,
  status: 200,
  errors: leaseErrors,
});

export const putArtifact = defineContract({
  ...base,
  id: 'putArtifact',
  method: 'PUT',
  path: '/provider/v1/leases/{lease}/artifacts',
  summary: 'Send one result file',
  query: z.strictObject({
    path: z
      .string()
      .min(1)
      .max(limits.artifactPathChars)
      .refine(isSafeRelativePath, 'must be a relative path without .., empty parts or control characters'),
    sha256: z.string().regex(/^[0-9a-f]{64}$/),
    size_bytes: z.coerce.number().int().min(0).max(limits.artifactBytes),
  }),
  binaryBody: 'application/octet-stream',
  reply: done,
  status: 200,
  errors: [...leaseErrors, 'artifact/too-large', 'artifact/hash-mismatch'],
});

/** The try is over and everything has been sent. `log_chunks` is their number: less stored is refused. */
export const endedLease = defineContract({
  ...base,
  id: 'endedLease',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/ended',
  summary: 'The try is over',
  body: z.strictObject({
    reason: reportedEndReason,
    detail: z.string().max(2_000).nullable().describe('What the machine says beside the reason.'),
    exit_code: exitCode,
    log_chunks: z.number().int().min(0),
  }),
  reply: z.object({
    ended_at: timestamp,
    metering: meteringRecord
      .optional()
      .describe('The last record of its running time: sign it and send that with `released`.'),
  }),
  status: 200,
  errors: [...leaseErrors, 'lease/logs-incomplete'],
});

export const releasedLease = defineContract({
  ...base,
  id: 'releasedLease',
  method: 'POST',
  path: '/provider/v1/leases/{lease}/released',
  summary: 'The container and all that belonged to it are gone',
  body: z.strictObject({ countersigned: countersignature.optional() }),
  reply: done,
  status: 200,
  errors: leaseErrors,
});

/** Whether a result file's name can be stored and written below a folder without leaving it. */
export function isSafeRelativePath(path: string): boolean {
  if (/[\u0000-\u001f\u007f\\]/.test(path)) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
