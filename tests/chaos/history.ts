import { appendFileSync, readFileSync } from 'node:fs';
import { z } from 'zod';

/*
 * What a chaos run leaves behind: one JSON object per line, in the order in which things were learnt. It is
 * all that the checker knows, so a history can be judged anywhere and again.
 */

const moment = z.number().describe('Milliseconds since 1970.');
const optionalMoment = moment.nullable();
const micros = z.string().regex(/^-?\d+$/);

export const expectation = z.object({
  state: z.enum(['succeeded', 'failed', 'cancelled', 'expired']),
  /** Null: not looked at. */
  exitCode: z.number().int().nullable(),
  /** Everything that the try which counts prints; null: not looked at. */
  stdout: z.string().nullable(),
  files: z.array(z.object({ path: z.string(), sizeBytes: z.number(), sha256: z.string() })),
});
export type Expectation = z.infer<typeof expectation>;

export const historyLine = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('run'),
    at: moment,
    seed: z.number(),
    options: z.record(z.string(), z.unknown()),
  }),
  z.object({
    kind: z.literal('fault'),
    at: moment,
    number: z.number(),
    fault: z.string(),
    victim: z.string(),
    forMs: z.number(),
    /** False: the victim was not there to be hit. */
    hit: z.boolean(),
  }),
  /** A program ended that nobody had killed. */
  z.object({ kind: z.literal('ended-by-itself'), at: moment, program: z.string(), how: z.string() }),
  z.object({
    kind: z.literal('submitted'),
    at: moment,
    key: z.string(),
    jobId: z.string(),
    expect: expectation,
  }),
  /** The state of a job as the API gave it at that moment. */
  z.object({ kind: z.literal('seen'), at: moment, jobId: z.string(), state: z.string() }),
  /** A machine's report about a try and the market's answer, as they passed on the wire. */
  z.object({
    kind: z.literal('call'),
    at: moment,
    answeredAt: moment,
    provider: z.string(),
    call: z.string(),
    leaseId: z.string(),
    fence: z.number(),
    status: z.number(),
  }),
  /** Faults have stopped and everything was started again. */
  z.object({ kind: z.literal('calm'), at: moment }),
  z.object({
    kind: z.literal('job'),
    jobId: z.string(),
    state: z.string(),
    endReason: z.string().nullable(),
    exitCode: z.number().nullable(),
    attempts: z.number(),
    costMicros: micros,
    timeLimitSeconds: z.number(),
  }),
  z.object({
    kind: z.literal('event'),
    jobId: z.string(),
    seq: z.number(),
    at: moment,
    type: z.string(),
    state: z.string(),
    leaseId: z.string().nullable(),
  }),
  z.object({
    kind: z.literal('lease'),
    leaseId: z.string(),
    jobId: z.string(),
    providerId: z.string(),
    attempt: z.number(),
    fence: z.number(),
    state: z.string(),
    offeredAt: moment,
    acceptedAt: optionalMoment,
    startedAt: optionalMoment,
    exitedAt: optionalMoment,
    silentAt: optionalMoment,
    silentMs: z.number(),
    endedAt: optionalMoment,
    releasedAt: optionalMoment,
    endReason: z.string().nullable(),
    exitCode: z.number().nullable(),
    pricePerHourMicros: micros,
    billedMs: z.number(),
    costMicros: micros,
    earnedMicros: micros,
  }),
  /** What the try that counts printed. */
  z.object({ kind: z.literal('output'), jobId: z.string(), attempt: z.number(), stdout: z.string() }),
  z.object({
    kind: z.literal('file'),
    jobId: z.string(),
    attempt: z.number(),
    path: z.string(),
    sizeBytes: z.number(),
    sha256: z.string(),
    /** Of the bytes that a download gave; null when this file was not downloaded. */
    downloadedSha256: z.string().nullable(),
  }),
  z.object({
    kind: z.literal('transfer'),
    id: z.string(),
    transfer: z.string(),
    debit: z.string(),
    credit: z.string(),
    amountMicros: micros,
    jobId: z.string().nullable(),
    leaseId: z.string().nullable(),
  }),
  z.object({
    kind: z.literal('account'),
    id: z.string(),
    account: z.string(),
    owner: z.string().nullable(),
    creditsMicros: micros,
    debitsMicros: micros,
  }),
  z.object({
    kind: z.literal('payment'),
    jobId: z.string(),
    state: z.string(),
    holdMicros: micros,
    amountMicros: micros,
  }),
  /** Containers, networks and the like that nobody removed. */
  z.object({ kind: z.literal('left-over'), what: z.string() }),
  z.object({ kind: z.literal('end'), at: moment }),
]);
export type HistoryLine = z.infer<typeof historyLine>;
export type LineOf<K extends HistoryLine['kind']> = Extract<HistoryLine, { kind: K }>;

/** Appends to a history file. A line is written whole and at once: what was learnt survives our own end. */
export class HistoryWriter {
  readonly file: string;

  constructor(file: string) {
    this.file = file;
  }

  add(line: HistoryLine): void {
    appendFileSync(this.file, `${JSON.stringify(line)}\n`);
  }
}

/** @throws when a line is not a line of a history. */
export function readHistory(file: string): HistoryLine[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => historyLine.parse(JSON.parse(line)));
}
