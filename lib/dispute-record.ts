import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import { z } from 'zod';
import { countOf } from './format-size.ts';

/** What the market wrote down when a job was contested; loose, since older ones may say less. */
const record = z.looseObject({
  tries: z
    .array(
      z.looseObject({
        endReason: z.enum(endReasonCodes),
        exitCode: z.number().nullable().default(null),
        machineSuspended: z.boolean().default(false),
        otherRentersSpoiled: z.number().default(0),
        othersSpoiled: z.number().default(0),
      }),
    )
    .default([]),
  damaged_results: z.array(z.string()).default([]),
  events: z.array(z.unknown()).default([]),
});

/** The record of a contested job as sentences; what is not in it is not said. */
export function recordSentences(evidence: unknown): string[] {
  const parsed = record.safeParse(evidence);
  if (!parsed.success) return [];
  const { tries, damaged_results: damaged, events } = parsed.data;
  return [
    ...tries.flatMap((one, index) => {
      const name = tries.length === 1 ? 'The try' : `Try ${index + 1}`;
      const exit = one.exitCode === null ? '' : ` Exit code ${one.exitCode}.`;
      return [
        `${name} that was billed: ${endReasonRow(one.endReason).sentence}${exit}`,
        ...(one.machineSuspended ? ['The operator has suspended its machine since.'] : []),
        ...(one.othersSpoiled > 0
          ? [
              `Within a day its machine spoiled ${countOf(one.othersSpoiled, 'try', 'tries')} of ${countOf(one.otherRentersSpoiled, 'other renter')}.`,
            ]
          : ['Within a day its machine spoiled no try of another renter.']),
      ];
    }),
    damaged.length === 0
      ? 'All result files are stored as they arrived.'
      : `Not stored as they arrived: ${damaged.join(', ')}.`,
    `${countOf(events.length, 'event')} of the job are kept with it.`,
  ];
}
