import type { Db } from '@computefabric/db/client';
import { providers } from '@computefabric/db/schema/providers';
import type { ProviderId } from '@computefabric/protocol/ids';
import type { TrustTier } from '@computefabric/protocol/trust-tier';
import { eq } from 'drizzle-orm';
import { notify } from '../background/signals.ts';

/** What the operator says of a machine from now on; tries that run go on. Null when there is no such machine. */
export async function setTier(
  db: Db,
  providerId: ProviderId,
  tier: TrustTier,
): Promise<{ id: ProviderId; name: string; tier: TrustTier } | null> {
  return await db.transaction(async (tx) => {
    const [row] = await tx
      .update(providers)
      .set({ tier })
      .where(eq(providers.id, providerId))
      .returning({ id: providers.id, name: providers.name, tier: providers.tier });
    // Jobs that wait for such a machine look again.
    if (row) await notify(tx, 'cf_queue', providerId);
    return row ?? null;
  });
}
