import type { Db, Tx } from '@computefabric/db/client';
import { registryLogins } from '@computefabric/db/schema/registry-logins';
import type { JobId } from '@computefabric/protocol/ids';
import { eq } from 'drizzle-orm';

export async function insertRegistryLogin(tx: Tx, jobId: JobId, sealed: string): Promise<void> {
  await tx.insert(registryLogins).values({ jobId, sealed });
}

export async function findRegistryLogin(db: Db | Tx, jobId: JobId): Promise<string | null> {
  const [row] = await db
    .select({ sealed: registryLogins.sealed })
    .from(registryLogins)
    .where(eq(registryLogins.jobId, jobId));
  return row?.sealed ?? null;
}

/** The job is final: nobody pulls for it any more. */
export async function forgetRegistryLogin(tx: Tx, jobId: JobId): Promise<void> {
  await tx.delete(registryLogins).where(eq(registryLogins.jobId, jobId));
}
