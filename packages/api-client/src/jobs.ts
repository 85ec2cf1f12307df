import type { QuoteId } from '@computefabric/protocol/ids';
import type { JobState } from '@computefabric/protocol/job-state';
import { getCheckpoint, listCheckpoints } from '@computefabric/protocol/user-api/checkpoints';
import type { CheckpointId } from '@computefabric/protocol/ids';
import type { JobSpecInput } from '@computefabric/protocol/user-api/job-spec';
import {
  encodeRegistryLogin,
  type RegistryLogin,
  registryLoginHeader,
} from '@computefabric/protocol/registry-login';
import * as contracts from '@computefabric/protocol/user-api/jobs';
import { createQuote } from '@computefabric/protocol/user-api/quotes';
import type { z } from 'zod';
import { type FollowOptions, followJob } from './follow-job.ts';
import { readChunk } from './read-chunk.ts';
import type { CallOptions, Transport } from './transport.ts';

export interface PageQuery {
  /** Items, 1 to 200. */
  limit?: number | undefined;
  /** `next_cursor` of the page before. */
  cursor?: string | undefined;
}

export interface JobListQuery extends PageQuery {
  state?: JobState[] | undefined;
  /** Part of a name, an id or an image. */
  q?: string | undefined;
  /** Submitted at or after this moment, RFC 3339 in UTC. */
  since?: string | undefined;
  /** Only members of this group: its id or name. */
  group?: string | undefined;
  /** Only jobs that are in no group. */
  ungrouped?: 'true' | undefined;
}

/** Jobs; `job` is an id or a name in your account. */
export function jobCalls(transport: Transport) {
  return {
    /** Submits a job. A repeat with the same `idempotencyKey` gives the same job. */
    create: (
      spec: JobSpecInput,
      {
        quote,
        registryLogin,
        ...options
      }: CallOptions & { quote?: QuoteId | undefined; registryLogin?: RegistryLogin | undefined } = {},
    ) =>
      transport.call(contracts.createJob, {
        body: spec,
        query: { quote },
        ...(registryLogin ? { headers: { [registryLoginHeader]: encodeRegistryLogin(registryLogin) } } : {}),
        ...options,
      }),
    /** Plan and price of a job, without submitting it. */
    quote: (spec: JobSpecInput, options: CallOptions = {}) =>
      transport.call(createQuote, { body: spec, ...options }),
    get: (job: string, options: CallOptions = {}) =>
      transport.call(contracts.getJob, { params: { job }, ...options }),
    /** One page, newest first. */
    list: (query: JobListQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listJobs, { query, ...options }),
    /** Asks a job to stop. */
    cancel: (job: string, options: CallOptions = {}) =>
      transport.call(contracts.cancelJob, { params: { job }, ...options }),
    /** Lets a job that money has stopped go on, as a new one. A repeat gives the same job. */
    resume: (
      job: string,
      limit: z.input<NonNullable<typeof contracts.resumeJob.body>>,
      options: CallOptions = {},
    ) => transport.call(contracts.resumeJob, { params: { job }, body: limit, ...options }),
    /** One page of what happened to a job, oldest first. */
    events: (job: string, query: PageQuery = {}, options: CallOptions = {}) =>
      transport.call(contracts.listJobEvents, { params: { job }, query, ...options }),
    /** Saved state of a job, newest first. */
    checkpoints: (job: string, options: CallOptions = {}) =>
      transport.call(listCheckpoints, { params: { job }, ...options }),
    /** What a checkpoint holds. */
    checkpoint: (job: string, checkpoint: CheckpointId, options: CallOptions = {}) =>
      transport.call(getCheckpoint, { params: { job, checkpoint }, ...options }),
    /** One chunk of it. @throws HashMismatchError when the bytes are not those of that hash. */
    chunk: (job: string, checkpoint: CheckpointId, sha256: string, options: CallOptions = {}) =>
      readChunk(transport, { job, checkpoint, sha256 }, options.signal),
    /** Output and events, live, until the job has ended. */
    follow: (job: string, options: FollowOptions = {}) => followJob(transport, job, options),
  };
}
