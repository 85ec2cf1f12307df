import type { Tx } from '@computefabric/db/client';
import { providers } from '@computefabric/db/schema/providers';
import { type EndReason, endReasonRow } from '@computefabric/protocol/end-reason';
import type { ProviderId } from '@computefabric/protocol/ids';
import { and, eq, gt, lt, sql } from 'drizzle-orm';

/**
 * A new machine has done nothing wrong, and nothing right either: it starts where one stands that has brought
 * nineteen of twenty tries to their end.
 */
export const newMachineReliabilityMilli = 950;

/** A try weighs a twentieth of the record: what was more than some fifty tries ago hardly counts. */
const weight = 20;

/**
 * Takes the end of a try into its machine's record, in the transaction that ends it. What a reason says of the
 * machine is in the end-reason table; most say nothing. The record is a moving average, so a row that many tries
 * end at is changed by one short update each, and a machine that gets better is trusted again.
 */
export async function recordEnd(tx: Tx, providerId: ProviderId, reason: EndReason): Promise<void> {
  const { countsForProvider, countsAgainstProvider } = endReasonRow(reason);
  const milli = providers.reliabilityMilli;
  if (countsForProvider) {
    // Nothing is written of a perfect record: that is the usual case, and the row is not locked for it.
    await tx
      .update(providers)
      .set({ reliabilityMilli: sql`least(1000, ${milli} + greatest(1, (1000 - ${milli}) / ${weight}::int))` })
      .where(and(eq(providers.id, providerId), lt(milli, 1_000)));
  } else if (countsAgainstProvider) {
    await tx
      .update(providers)
      .set({ reliabilityMilli: sql`greatest(0, ${milli} - greatest(1, ${milli} / ${weight}::int))` })
      .where(and(eq(providers.id, providerId), gt(milli, 0)));
  }
}
