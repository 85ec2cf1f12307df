import { ownerReport } from '@computefabric/protocol/owner-state';
import { z } from 'zod';
import { ownerWish } from '../policy/wish.ts';

/** One line of JSON each way, then the connection is over. */
export const controlRequest = z.discriminatedUnion('command', [
  z.strictObject({ command: z.literal('status') }),
  z.strictObject({
    command: z.literal('pause'),
    /** `1h`, `until 18:00`, `after-job`; empty is until `resume`. */
    until: z.string().max(100).default(''),
  }),
  z.strictObject({ command: z.literal('resume') }),
  z.strictObject({ command: z.literal('drain') }),
]);
export type ControlRequest = z.output<typeof controlRequest>;
export const controlCommands = [
  'status',
  'pause',
  'resume',
  'drain',
] as const satisfies readonly ControlRequest['command'][];

/** What an owner is shown of the machine; what a newer agent tells beside it is left out. */
export const shownStatus = z.object({
  ...ownerReport.shape,
  since: z.string(),
  wish: ownerWish,
  readings: z.record(z.string(), z.string()),
  problems: z.array(z.string()).readonly(),
  refused: z.array(z.object({ at: z.string(), job_id: z.string(), reason: z.string() })).readonly(),
  history: z
    .array(z.object({ at: z.string(), state: z.string(), reason: z.string(), sentence: z.string() }))
    .readonly(),
  config_path: z.string(),
});
export type ShownStatus = z.output<typeof shownStatus>;

export const controlAnswer = z.discriminatedUnion('ok', [
  z.object({ ok: z.literal(true), status: shownStatus }),
  z.object({
    ok: z.literal(false),
    error: z.object({
      /** `invalid`: the request is wrong; `failed`: the agent could not do it. */
      code: z.enum(['invalid', 'failed']),
      message: z.string(),
    }),
  }),
]);
export type ControlAnswer = z.output<typeof controlAnswer>;

/** A request has one short text; an answer at most 100 short entries. */
export const mostRequestBytes = 4_096;
export const mostAnswerBytes = 1_048_576;

/** Linux has room for 107 bytes, macOS for 103; what is longer would be cut without a word. */
export const mostSocketPathBytes = 103;
