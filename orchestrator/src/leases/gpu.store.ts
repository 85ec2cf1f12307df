import type { Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import type { LeaseId } from '@computefabric/protocol/ids';
import { and, eq, inArray, isNull } from 'drizzle-orm';
import type { LeaseRow } from './lease.store.ts';

/** Reserves exactly these GPUs for a lease; false (and the caller rolls back) when any of them is taken. */
export async function reserveGpus(tx: Tx, lease: LeaseRow): Promise<boolean> {
  if (lease.gpuIds.length === 0) return true;
  const rows = await tx
    .update(gpus)
    .set({ leaseId: lease.id })
    .where(
      and(
        inArray(gpus.id, lease.gpuIds),
        eq(gpus.providerId, lease.providerId),
        eq(gpus.present, true),
        isNull(gpus.leaseId),
      ),
    )
    .returning({ id: gpus.id });
  return rows.length === lease.gpuIds.length;
}

/** Gives back what a lease had reserved. */
export async function freeGpus(tx: Tx, leaseId: LeaseId): Promise<void> {
  await tx.update(gpus).set({ leaseId: null }).where(eq(gpus.leaseId, leaseId));
}
