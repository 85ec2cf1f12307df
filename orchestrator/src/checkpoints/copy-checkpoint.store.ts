import type { Tx } from '@computefabric/db/client';
import { checkpointChunks } from '@computefabric/db/schema/checkpoint-chunks';
import { checkpoints } from '@computefabric/db/schema/checkpoints';
import { type CheckpointId, type JobId, newId } from '@computefabric/protocol/ids';
import { and, eq, sql } from 'drizzle-orm';
import type { CheckpointRow } from './checkpoint.store.ts';

/**
 * Gives a job the saved state of another one as its own: the stored objects are the same ones, and stay for as long as
 * either refers to them. Null when it is not there any more. Whoever removes the first waits for this transaction, and
 * then finds its objects in use.
 */
export async function copyCheckpoint(
  tx: Tx,
  from: CheckpointId,
  jobId: JobId,
): Promise<Pick<CheckpointRow, 'id' | 'takenAt'> | null> {
  const complete = and(eq(checkpoints.id, from), eq(checkpoints.state, 'complete'));
  const [old] = await tx.select().from(checkpoints).where(complete).for('update');
  if (!old) return null;
  const id = newId('checkpoint');
  await tx.insert(checkpoints).values({ ...old, id, jobId, newBytes: 0 });
  await tx.execute(sql`
    insert into ${checkpointChunks} (checkpoint_id, key)
    select ${id}, key from ${checkpointChunks} where checkpoint_id = ${from}`);
  return { id, takenAt: old.takenAt };
}
