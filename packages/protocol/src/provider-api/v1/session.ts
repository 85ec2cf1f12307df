import { z } from 'zod';
import { displayName, timestamp } from '../../common.ts';
import { defineContract } from '../../contract.ts';
import { checkpointId, jobId, leaseId, providerId } from '../../ids.ts';
import { jobClass } from '../../job-class.ts';
import { desiredState, taskState } from '../../lease-state.ts';
import { limits } from '../../limits.ts';
import { microsString } from '../../money.ts';
import { networkMode } from '../../network.ts';
import { ownerNotice } from '../../owner-state.ts';
import { countersignature, meteringRecord, publicKey, signature } from '../../receipts/metering.ts';
import { checkpoint } from '../../user-api/run-terms.ts';
import { sessionHeaders } from './common.ts';
import { inventory } from './inventory.ts';

const secretHash = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 in hex');

/**
 * A one-use join token becomes a machine of its owner. The machine makes an Ed25519 key pair and sends its public
 * key with a signature of `enrolmentText`; a repeat after a lost answer is known by the key and gets the same
 * answer, also with a token that is spent. With a fresh token a known key keeps its machine.
 *
 * Agents of before 0.2 have no key of this kind: they choose a secret and send its hash, and their credential for
 * ever is `cfp_<provider id without its prefix>_<secret>`.
 */
export const enroll = defineContract({
  id: 'enrollProvider',
  method: 'POST',
  path: '/provider/v1/enroll',
  summary: 'Join the market with a one-use token',
  audience: 'join',
  body: z
    .strictObject({
      name: displayName,
      agent_version: z.string().max(64),
      secret_hash: secretHash.optional(),
      public_key: publicKey.optional(),
      signature: signature.optional(),
    })
    .refine(
      (body) =>
        body.secret_hash === undefined
          ? body.public_key !== undefined && body.signature !== undefined
          : body.public_key === undefined && body.signature === undefined,
      'must have either public_key with signature, or secret_hash',
    ),
  reply: z.object({ provider_id: providerId, name: z.string() }),
  status: 201,
  errors: ['join-token/invalid', 'provider/key-taken'],
});

/**
 * A machine with a key gets a credential for a while: it chooses a secret and signs its hash, the time and its own
 * id (`credentialText`); the bearer of its calls is then `cfp_<provider id without its prefix>_<secret>`. Nobody
 * who sees this call learns a secret from it. A hash is taken once: each try needs a new one.
 */
export const issueCredential = defineContract({
  id: 'issueMachineCredential',
  method: 'POST',
  path: '/provider/v1/credential',
  summary: 'Get a short-lived credential for a signature',
  audience: 'public',
  body: z.strictObject({ provider_id: providerId, secret_hash: secretHash, at: timestamp, signature }),
  reply: z.object({ expires_in_seconds: z.number().int() }),
  status: 201,
  errors: ['auth/invalid', 'auth/clock-skew'],
});

/** A try that the agent still has, after a restart. */
const heldTask = z.strictObject({ lease_id: leaseId, fence: z.number().int(), task_state: taskState });

/** Whether the machine may go on: `run`, `stop` (gracefully, then report), or `gone` (kill; it is not yours). */
export const verdict = z.enum([...desiredState.options, 'gone']);
export type Verdict = z.infer<typeof verdict>;

/** The fate of a try that the agent has named. */
const taskAnswer = z.object({
  lease_id: leaseId,
  verdict,
  stop_within_seconds: z
    .number()
    .nullable()
    .default(null)
    .describe(
      'With `stop`: SIGKILL after this long, when that is sooner than the grace time; null is the grace time.',
    ),
  metering: meteringRecord
    .optional()
    .describe('A record of its running time was written: sign it and send that with the next heartbeat.'),
});
export type TaskAnswer = z.input<typeof taskAnswer>;

/**
 * Opens a session: announces what the machine has, learns the timing of the market and the fate of each try
 * that the agent still holds. Tries that it does not name are taken as lost at once.
 */
export const hello = defineContract({
  id: 'helloProvider',
  method: 'POST',
  path: '/provider/v1/hello',
  summary: 'Open a session',
  audience: 'provider',
  body: z.strictObject({
    agent_version: z.string().max(64),
    inventory,
    tasks: z.array(heldTask).max(256),
    // Agents of before 0.2 have no key: their metering is signed by the market alone.
    signing_key: publicKey.optional().describe('The key that the machine signs its metering with.'),
    // An agent that does not tell takes work.
    owner_notice: ownerNotice.optional().describe("What the owner's rules say now."),
  }),
  reply: z.object({
    session: z.number().int(),
    lease_ttl_seconds: z.number(),
    heartbeat_seconds: z.number(),
    poll_seconds: z.number(),
    tasks: z.array(taskAnswer),
  }),
  status: 200,
  errors: ['provider/suspended', 'provider/key-taken'],
});

/** What the agent is asked to run. It has no field for anything that could weaken the container. */
export const taskSpec = z
  .object({
    lease_id: leaseId,
    fence: z.number().int(),
    job_id: jobId,
    attempt: z.number().int(),
    image: z.string(),
    command: z.union([z.string(), z.array(z.string())]).nullable(),
    env: z.record(z.string(), z.string()),
    cpus: z.number(),
    memory_mib: z.number().int(),
    gpu_uuids: z.array(z.string()),
    variables: z
      .record(z.string(), z.string())
      .default({})
      .describe('COMPUTEFABRIC_* variables of the try, such as its place in an array.'),
    gpu_milli: z.number().int().default(1_000).describe('Share of each of them, thousandths.'),
    disk_mib: z.number().int().default(0),
    class: jobClass.default('on-demand').describe('A spot job pays less.'),
    registry_login: z.boolean().default(false).describe('The image wants a login, which is to be asked for.'),
    resumed: z.boolean().default(false).describe('A checkpoint of an earlier try is to be put back.'),
    checkpoint: checkpoint.nullable().default(null),
    // A market of before networks asks for none.
    network: z.object({ mode: networkMode, allow: z.array(z.string()) }).default({ mode: 'none', allow: [] }),
    stop_after_silence_seconds: z
      .number()
      .nullable()
      .default(null)
      .describe('Cut off for this long, stop by yourself; null is the lease time.'),
    time_limit_seconds: z.number().int(),
    stop_grace_seconds: z.number().int(),
    price_per_hour_micros: microsString,
    offer_seconds: z.number().describe('Accept or reject within this time.'),
  })
  .meta({ id: 'TaskSpec' });
export type TaskSpec = z.infer<typeof taskSpec>;

/** Waits for an offer. `nudge` means: send a heartbeat now, a verdict has changed. */
export const poll = defineContract({
  id: 'pollProvider',
  method: 'POST',
  path: '/provider/v1/poll',
  summary: 'Wait for offers (long poll)',
  audience: 'provider',
  headers: sessionHeaders,
  body: z.strictObject({}),
  reply: z.object({ offers: z.array(taskSpec), nudge: z.boolean() }),
  status: 200,
  errors: ['provider/session-stale', 'provider/suspended'],
});

/** State of a job that a machine has whole, from a try that it has had of it. */
const keptState = z.strictObject({ job_id: jobId, checkpoint_id: checkpointId });
export type KeptState = z.infer<typeof keptState>;

/** Keeps the machine and its tries alive. */
export const heartbeat = defineContract({
  id: 'heartbeatProvider',
  method: 'POST',
  path: '/provider/v1/heartbeat',
  summary: 'Keep leases alive and learn their fate',
  audience: 'provider',
  headers: sessionHeaders,
  body: z.strictObject({
    tasks: z
      .array(
        z.strictObject({
          lease_id: leaseId,
          fence: z.number().int(),
          task_state: taskState,
          progress: z
            .strictObject({ done_bytes: z.number().min(0), total_bytes: z.number().min(0).nullable() })
            .nullable(),
          countersigned: countersignature.optional(),
        }),
      )
      .max(256),
    kept_states: z
      .array(keptState)
      .max(limits.keptStates)
      .optional()
      .describe('All that it keeps of earlier tries, when that has changed and every minute.'),
    cached_images: inventory.shape.cached_images
      .unwrap()
      .optional()
      .describe('Names of the images that it has, when that has changed and every five minutes.'),
    owner_notice: ownerNotice
      .optional()
      .describe("What the owner's rules say now, when that has changed and every minute."),
  }),
  reply: z.object({
    lease_ttl_seconds: z
      .number()
      .describe('Tries with verdict run or stop are alive for this long from now.'),
    tasks: z.array(taskAnswer),
    forget_states: z
      .array(jobId)
      .default([])
      .describe('Of those it keeps, jobs that will not come again: to be removed.'),
    wanted_images: z
      .array(z.string().max(limits.imageChars))
      .default([])
      .describe('With `cached_images`: what many accounts run, most wanted first; to be pulled when idle.'),
  }),
  status: 200,
  errors: ['provider/session-stale'],
});

/** The owner stops the agent: no more offers. What still runs may be finished or handed back. */
export const goodbye = defineContract({
  id: 'goodbyeProvider',
  method: 'POST',
  path: '/provider/v1/goodbye',
  summary: 'Take no more work (draining), or leave (offline)',
  audience: 'provider',
  headers: sessionHeaders,
  body: z.strictObject({ leaving: z.boolean().describe('false drains; true closes the session.') }),
  reply: z.object({}),
  status: 200,
  errors: ['provider/session-stale'],
});
