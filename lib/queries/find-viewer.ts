import 'server-only';

import type { Db } from '@computefabric/db/client';
import { apiKeys } from '@computefabric/db/schema/api-keys';
import { profiles } from '@computefabric/db/schema/profiles';
import { users } from '@computefabric/db/schema/users';
import { parseBearer, secretMatches } from '@computefabric/protocol/api-key';
import { apiKeyId, type UserId } from '@computefabric/protocol/ids';
import { and, eq, gt, isNull, or, sql } from 'drizzle-orm';

export interface KeyOwner {
  userId: UserId;
  name: string;
  email: string;
}

/** Whose API key this is; null when it is not one, or was revoked, or has expired. */
export async function findViewer(db: Db, token: string): Promise<KeyOwner | null> {
  const bearer = parseBearer(token);
  if (bearer?.kind !== 'user') return null;
  const keyId = apiKeyId.safeParse(`key_${bearer.idSuffix}`);
  if (!keyId.success) return null;
  const [row] = await db
    .select({
      userId: users.id,
      email: users.email,
      name: profiles.displayName,
      secretHash: apiKeys.secretHash,
    })
    .from(apiKeys)
    .innerJoin(users, eq(users.id, apiKeys.userId))
    .leftJoin(profiles, eq(profiles.userId, users.id))
    .where(
      and(
        eq(apiKeys.id, keyId.data),
        eq(apiKeys.kind, 'user'),
        isNull(apiKeys.revokedAt),
        or(isNull(apiKeys.expiresAt), gt(apiKeys.expiresAt, sql`now()`)),
      ),
    );
  if (!row || !secretMatches(bearer.secret, row.secretHash)) return null;
  return { userId: row.userId, email: row.email, name: row.name ?? row.email };
}
