import { z } from 'zod';
import { timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { logStreams } from '../log-frames.ts';
import { jobRef } from './jobs.ts';

/**
 * One piece of output. A piece is not a line: join the `data` of one stream to get its exact bytes.
 * `data` is the text itself where the bytes are UTF-8, else base64.
 */
export const logEntry = z
  .object({
    attempt: z.number().int(),
    seq: z.number().int(),
    stream: z.enum(logStreams),
    at: timestamp,
    encoding: z.enum(['utf-8', 'base64']),
    data: z.string(),
  })
  .meta({ id: 'LogEntry' });
export type LogEntry = z.infer<typeof logEntry>;

/**
 * A place in a job's stream: `<attempt>.<next chunk>.<last event>`. It is the id of each server-sent event
 * (send it back as Last-Event-ID) and the cursor of a snapshot.
 */
export const streamCursor = z
  .string()
  .regex(/^\d{1,9}\.\d{1,12}\.\d{1,9}$/, 'must be a cursor as the server gave it');

export const getJobLogs = defineContract({
  id: 'getJobLogs',
  method: 'GET',
  path: '/v1/jobs/{job}/logs',
  summary: 'Output so far',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  query: z.strictObject({
    cursor: streamCursor.optional(),
    limit: z.coerce.number().int().min(1).max(1_000).default(500),
    attempt: z.coerce.number().int().min(1).optional().describe('Only this try.'),
  }),
  reply: z.object({
    entries: z.array(logEntry),
    next_cursor: streamCursor.describe('Where to go on; the same again when there is nothing new.'),
    complete: z.boolean().describe('The job has ended and this page holds the last of its output.'),
  }),
  status: 200,
  errors: ['job/not-found'],
});

/**
 * Server-sent events: `log` (a LogEntry), `job` (a JobEvent) and, once the job is final and all is sent,
 * `end` (the JobSummary), after which the server closes. A comment line every 15 s keeps proxies awake.
 */
export const streamJob = defineContract({
  id: 'streamJob',
  method: 'GET',
  path: '/v1/jobs/{job}/stream',
  summary: 'Output and events, live (server-sent events)',
  audience: 'user',
  params: z.strictObject({ job: jobRef }),
  query: z.strictObject({
    cursor: streamCursor.optional().describe('Start here; the Last-Event-ID header wins over it.'),
  }),
  stream: 'text/event-stream',
  status: 200,
  errors: ['job/not-found'],
});
