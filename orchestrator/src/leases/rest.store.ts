import type { Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import { type EndReason, endReasonRow } from '@computefabric/protocol/end-reason';
import type { ProviderId } from '@computefabric/protocol/ids';
import { backoffMs } from '@computefabric/runtime/backoff';
import { desc, eq, sql } from 'drizzle-orm';
import { fromNow } from './lease.store.ts';

/** Half to all of this after the first offer that was not taken; twice as much after each further one in a row. */
const backoff = { baseMs: 1_000, maxMs: 30_000 };
/** More in a row than this change nothing: the longest rest is reached. */
const offersLooked = 7;

/**
 * Lets a machine rest that has just not taken an offer, in the transaction that says so. It may still be cleaning
 * up a try that the market has given up, or be frozen: the next job would be sent in vain, too. The rest grows
 * while offers are not taken in a row, which its last offers tell, so that taking one writes nothing for it.
 *
 * @param random 0 ≤ x < 1
 */
export async function restMachine(tx: Tx, providerId: ProviderId, random: () => number): Promise<void> {
  const latest = await tx
    .select({ endReason: leases.endReason, taken: sql<boolean>`${leases.acceptedAt} is not null` })
    .from(leases)
    .where(eq(leases.providerId, providerId))
    .orderBy(desc(leases.id))
    .limit(offersLooked);
  const seconds = backoffMs(notTakenInARow(latest) - 1, backoff, random) / 1_000;
  await tx
    .update(providers)
    .set({ restsUntil: fromNow(seconds) })
    .where(eq(providers.id, providerId));
}

/** At least one: that of this moment. Offers that wait for their answer, or were withdrawn, say nothing. */
function notTakenInARow(latest: readonly { endReason: EndReason | null; taken: boolean }[]): number {
  let count = 0;
  for (const { endReason, taken } of latest) {
    if (taken) break;
    if (endReason !== null && endReasonRow(endReason).restsMachine) count += 1;
  }
  return Math.max(1, count);
}
