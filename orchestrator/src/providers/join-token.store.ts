import type { Tx } from '@computefabric/db/client';
import { apiKeys } from '@computefabric/db/schema/api-keys';
import type { ApiKeyId } from '@computefabric/protocol/ids';
import { and, eq, isNull, sql } from 'drizzle-orm';

/** Spends a join token; false when it was spent, revoked or has expired meanwhile. */
export async function spendJoinToken(tx: Tx, keyId: ApiKeyId): Promise<boolean> {
  const spent = await tx
    .update(apiKeys)
    .set({ usedAt: sql`now()` })
    .where(
      and(
        eq(apiKeys.id, keyId),
        eq(apiKeys.kind, 'join'),
        isNull(apiKeys.usedAt),
        isNull(apiKeys.revokedAt),
        sql`${apiKeys.expiresAt} > now()`,
      ),
    )
    .returning({ id: apiKeys.id });
  return spent.length === 1;
}
