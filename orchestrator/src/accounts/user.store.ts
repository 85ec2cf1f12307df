import type { Db, Tx } from '@computefabric/db/client';
import { profiles } from '@computefabric/db/schema/profiles';
import { users } from '@computefabric/db/schema/users';
import { newId, type UserId } from '@computefabric/protocol/ids';
import type { UserRole } from '@computefabric/protocol/user-api/account';
import { invariant } from '@computefabric/runtime/invariant';
import { eq, sql } from 'drizzle-orm';

/** The user of this address with a profile; made unless there is one, whose role and name stay as they are. */
export async function ensureUser(
  tx: Tx,
  user: { email: string; role: UserRole; displayName: string },
): Promise<UserId> {
  await tx
    .insert(users)
    .values({ id: newId('user'), email: user.email, role: user.role })
    .onConflictDoNothing({ target: users.email });
  const [row] = await tx.select({ id: users.id }).from(users).where(eq(users.email, user.email));
  invariant(row, `user ${user.email} exists once it was made`);
  await tx
    .insert(profiles)
    .values({ id: newId('profile'), userId: row.id, displayName: user.displayName })
    .onConflictDoNothing({ target: profiles.userId });
  return row.id;
}

/** Who a user is to people, and what they prefer. */
export async function findUser(db: Db | Tx, userId: UserId) {
  const [row] = await db
    .select({
      id: users.id,
      email: users.email,
      role: users.role,
      displayName: profiles.displayName,
      defaultMaxPricePerHourMicros: profiles.defaultMaxPricePerHourMicros,
    })
    .from(users)
    .leftJoin(profiles, eq(profiles.userId, users.id))
    .where(eq(users.id, userId));
  invariant(row, `the user ${userId} of a key exists`);
  return row;
}

/** The user of this id or email. */
export async function findUserId(db: Db | Tx, reference: string): Promise<UserId | null> {
  const [row] = await db
    .select({ id: users.id })
    .from(users)
    .where(sql`${users.email} = ${reference} or ${users.id} = ${reference}`);
  return row?.id ?? null;
}
