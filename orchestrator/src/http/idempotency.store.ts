import type { Db, Tx } from '@computefabric/db/client';
import { idempotencyKeys } from '@computefabric/db/schema/idempotency-keys';
import type { UserId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { and, eq, lt, sql } from 'drizzle-orm';

/** Makes calls with the same key of the same user wait for each other until the transaction ends. */
export async function lockIdempotencyKey(tx: Tx, userId: UserId, key: string): Promise<void> {
  // Two keys with the same 64-bit hash would only wait for each other.
  await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`idempotency:${userId}:${key}`}, 0))`);
}

export async function findFirstAnswer(tx: Tx, userId: UserId, key: string) {
  const [row] = await tx
    .select({ requestHash: idempotencyKeys.requestHash, reply: idempotencyKeys.reply })
    .from(idempotencyKeys)
    .where(and(eq(idempotencyKeys.userId, userId), eq(idempotencyKeys.key, key)));
  return row ?? null;
}

/** Keeps the answer and gives it back as the database has it (its order of keys, so a repeat is the same text). */
export async function keepFirstAnswer(tx: Tx, row: typeof idempotencyKeys.$inferInsert): Promise<unknown> {
  const [kept] = await tx.insert(idempotencyKeys).values(row).returning({ reply: idempotencyKeys.reply });
  invariant(kept, 'the first answer was kept');
  return kept.reply;
}

/** Forgets answers older than this; gives how many. */
export async function forgetAnswers(db: Db, olderThanSeconds: number): Promise<number> {
  const rows = await db
    .delete(idempotencyKeys)
    .where(lt(idempotencyKeys.createdAt, sql`now() - make_interval(secs => ${olderThanSeconds})`))
    .returning({ key: idempotencyKeys.key });
  return rows.length;
}
