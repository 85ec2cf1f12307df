import type { Db, Tx } from '@computefabric/db/client';
import { machineCredentials } from '@computefabric/db/schema/machine-credentials';
import { providers } from '@computefabric/db/schema/providers';
import type { ProviderId } from '@computefabric/protocol/ids';
import { and, eq, lt, ne, sql } from 'drizzle-orm';

/** What the door holds against the secret of a machine's call. */
export interface KnownSecret {
  hash: string;
  /** Null: for ever, as those of machines without a key. */
  livesMs: number | null;
}

/** Secrets of machines that count now, in the same order; empty where there is no such machine. */
export async function findMachineSecrets(
  db: Db,
  providerIds: readonly ProviderId[],
): Promise<KnownSecret[][]> {
  const ids = sql`any(${sql.param([...providerIds])}::text[])`;
  const { rows } = await db.execute<{ id: string; hash: string; ms: number | null }>(sql`
    select id, credential_hash as hash, null::float8 as ms from providers
      where id = ${ids} and credential_hash <> ''
    union all
    select provider_id, secret_hash, (extract(epoch from expires_at - now()) * 1000)::float8
      from machine_credentials where provider_id = ${ids} and expires_at > now()`);
  const known = new Map<string, KnownSecret[]>(providerIds.map((id) => [id, []]));
  for (const { id, hash, ms } of rows) known.get(id)?.push({ hash, livesMs: ms });
  return providerIds.map((id) => known.get(id) ?? []);
}

/** The key of a machine, and how far a moment is from the database's clock, seconds; null without a key. */
export async function findIdentity(
  db: Db,
  providerId: ProviderId,
  at: string,
): Promise<{ publicKey: string; skewSeconds: number; now: Date } | null> {
  const [row] = await db
    .select({
      publicKey: providers.identityKey,
      skewSeconds: sql<number>`abs(extract(epoch from now() - ${at}::timestamptz))::float8`,
      now: sql<Date>`now()`.mapWith((value: string) => new Date(value)),
    })
    .from(providers)
    .where(eq(providers.id, providerId));
  return row?.publicKey ? { ...row, publicKey: row.publicKey } : null;
}

/**
 * A credential for so long; false when its hash was taken before. Earlier ones of the machine end soon: not at
 * once, for calls with them may be under way, and not before the minute in which their signatures count.
 */
export async function insertCredential(
  tx: Tx,
  credential: { providerId: ProviderId; secretHash: string },
  { livesSeconds, othersSeconds }: { livesSeconds: number; othersSeconds: number },
): Promise<boolean> {
  const inserted = await tx
    .insert(machineCredentials)
    .values({ ...credential, expiresAt: sql`now() + make_interval(secs => ${livesSeconds})` })
    .onConflictDoNothing()
    .returning({ hash: machineCredentials.secretHash });
  if (inserted.length === 0) return false;
  await tx
    .update(machineCredentials)
    .set({
      expiresAt: sql`least(${machineCredentials.expiresAt}, now() + make_interval(secs => ${othersSeconds}))`,
    })
    .where(
      and(
        eq(machineCredentials.providerId, credential.providerId),
        ne(machineCredentials.secretHash, credential.secretHash),
      ),
    );
  return true;
}

/** Removes credentials that have ended; gives how many. */
export async function forgetCredentials(db: Db): Promise<number> {
  const { rowCount } = await db
    .delete(machineCredentials)
    .where(lt(machineCredentials.expiresAt, sql`now()`));
  return rowCount ?? 0;
}
