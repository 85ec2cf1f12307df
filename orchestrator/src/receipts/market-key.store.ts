import type { Db } from '@computefabric/db/client';
import { marketKeys } from '@computefabric/db/schema/market-keys';
import type { MarketKey } from '@computefabric/protocol/receipts/receipt';
import { asc } from 'drizzle-orm';

/** Publishes a key; one that is known already stays as it is. */
export async function publishKey(
  db: Db,
  key: { id: string; publicKey: string; endorsedBy: string | null; endorsement: string | null },
): Promise<void> {
  await db.insert(marketKeys).values(key).onConflictDoNothing();
}

/** Every key that this market signs with or has signed with, oldest first. */
export async function listKeys(db: Db): Promise<MarketKey[]> {
  const rows = await db.select().from(marketKeys).orderBy(asc(marketKeys.createdAt), asc(marketKeys.id));
  return rows.map((row) => ({
    key: row.id,
    algorithm: 'ed25519',
    public_key: row.publicKey,
    created_at: row.createdAt.toISOString(),
    endorsed_by: row.endorsedBy,
    endorsement: row.endorsement,
  }));
}
