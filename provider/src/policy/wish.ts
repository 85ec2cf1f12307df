import { parseDuration } from '@computefabric/protocol/grammar/durations';
import { z } from 'zod';
import { nextClockTime } from './schedule.ts';

/** What the owner has said by hand. It lasts until it is taken back, over restarts of the agent and the machine. */
export const ownerWish = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({
    kind: z.literal('paused'),
    /** Wall clock; null is until `resume`. */
    untilMs: z.number().nullable(),
    /** What runs may end first. */
    afterJob: z.boolean(),
  }),
  z.strictObject({ kind: z.literal('drained') }),
]);
export type OwnerWish = z.infer<typeof ownerWish>;

/** A pause cannot be asked for that nobody remembers. */
const longestPauseMs = 366 * 86_400_000;

/**
 * A pause in the owner's words: nothing (until resumed), `1h`, `until 18:00`, `after-job`.
 *
 * @throws RangeError saying what can be written
 */
export function parsePause(text: string, nowMs: number, timeZone: string): OwnerWish {
  const words = text.trim();
  if (words === '') return { kind: 'paused', untilMs: null, afterJob: false };
  if (words === 'after-job') return { kind: 'paused', untilMs: null, afterJob: true };
  const clock = /^until\s+(\d{1,2}:\d{2})$/.exec(words)?.[1];
  if (clock) {
    const untilMs = nextClockTime(timeZone, clock.padStart(5, '0'), nowMs);
    if (untilMs !== null) return { kind: 'paused', untilMs, afterJob: false };
  }
  const seconds = parseDuration(words);
  if (seconds !== null && seconds > 0 && seconds * 1_000 <= longestPauseMs)
    return { kind: 'paused', untilMs: nowMs + seconds * 1_000, afterJob: false };
  throw new RangeError(
    `cannot pause for "${words}": write a time such as 1h, "until 18:00", after-job, or nothing to wait for resume`,
  );
}
