import type { Db, Tx } from '@computefabric/db/client';
import { type apiKeyKinds, apiKeys } from '@computefabric/db/schema/api-keys';
import { users } from '@computefabric/db/schema/users';
import type { ApiKeyId, UserId } from '@computefabric/protocol/ids';
import { and, desc, eq, isNull, or, sql } from 'drizzle-orm';

export type ApiKeyRow = typeof apiKeys.$inferSelect;
type ApiKeyKind = (typeof apiKeyKinds)[number];

/** How precisely the last use of a key is kept: reading must not become writing. */
const lastUsedSeconds = 60;

/**
 * A key with what the door needs to know; `alive`: not revoked, not spent, not expired on the database's clock.
 * `spent` is a join token that was used and is otherwise alive.
 */
export async function findKey(db: Db, id: ApiKeyId, kind: ApiKeyKind) {
  const [row] = await db
    .select({
      id: apiKeys.id,
      userId: apiKeys.userId,
      name: apiKeys.name,
      secretHash: apiKeys.secretHash,
      createdAt: apiKeys.createdAt,
      expiresAt: apiKeys.expiresAt,
      role: users.role,
      alive: sql<boolean>`${apiKeys.revokedAt} is null and ${apiKeys.usedAt} is null
        and coalesce(${apiKeys.expiresAt} > now(), true)`,
      spent: sql<boolean>`${apiKeys.usedAt} is not null and ${apiKeys.revokedAt} is null
        and coalesce(${apiKeys.expiresAt} > now(), true)`,
      useUnrecorded: sql<boolean>`${wasNotUsedLately()}`,
    })
    .from(apiKeys)
    .innerJoin(users, eq(users.id, apiKeys.userId))
    .where(and(eq(apiKeys.id, id), eq(apiKeys.kind, kind)));
  return row ?? null;
}

/** Notes that a key was used, unless that was noted within the last minute. */
export async function touchKey(db: Db, id: ApiKeyId): Promise<void> {
  await db
    .update(apiKeys)
    .set({ lastUsedAt: sql`now()` })
    .where(and(eq(apiKeys.id, id), wasNotUsedLately()));
}

/** Writes a key that lives for `expiresInSeconds`, or for ever; null when one of that id exists already. */
export async function insertKey(
  tx: Tx,
  key: Pick<ApiKeyRow, 'id' | 'userId' | 'kind' | 'name' | 'secretHash'>,
  expiresInSeconds: number | null,
): Promise<ApiKeyRow | null> {
  const expiresAt =
    expiresInSeconds === null ? null : sql`now() + make_interval(secs => ${expiresInSeconds})`;
  const [row] = await tx
    .insert(apiKeys)
    .values({ ...key, expiresAt })
    .onConflictDoNothing({ target: apiKeys.id })
    .returning();
  return row ?? null;
}

/** A key whoever it belongs to and whatever it opens. Not for requests: those are answered by `findKey`. */
export async function findKeyById(tx: Tx, id: ApiKeyId): Promise<ApiKeyRow | null> {
  const [row] = await tx.select().from(apiKeys).where(eq(apiKeys.id, id));
  return row ?? null;
}

/** A user's API keys, newest first; join tokens are not among them. */
export async function listKeys(db: Db, userId: UserId, limit: number): Promise<ApiKeyRow[]> {
  return await db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.userId, userId), eq(apiKeys.kind, 'user')))
    .orderBy(desc(apiKeys.id))
    .limit(limit);
}

/** Revokes a key of the user; a repeat keeps the first moment. False when the user has no such key. */
export async function revokeKey(db: Db, userId: UserId, id: ApiKeyId): Promise<boolean> {
  const rows = await db
    .update(apiKeys)
    .set({ revokedAt: sql`coalesce(${apiKeys.revokedAt}, now())` })
    .where(and(eq(apiKeys.id, id), eq(apiKeys.userId, userId), eq(apiKeys.kind, 'user')))
    .returning({ id: apiKeys.id });
  return rows.length === 1;
}

function wasNotUsedLately() {
  return or(
    isNull(apiKeys.lastUsedAt),
    sql`${apiKeys.lastUsedAt} < now() - make_interval(secs => ${lastUsedSeconds})`,
  );
}
