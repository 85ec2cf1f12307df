import type { Db, Tx } from '@computefabric/db/client';
import { artifacts } from '@computefabric/db/schema/artifacts';
import { checkpointChunks } from '@computefabric/db/schema/checkpoint-chunks';
import { checkpoints } from '@computefabric/db/schema/checkpoints';
import { storedObjects } from '@computefabric/db/schema/stored-objects';
import type { JobId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { and, asc, eq, inArray, lt, ne, notExists, sql } from 'drizzle-orm';
import type { ObjectFacts } from './object-store.ts';

/*
 * arriving → stored → removing → (no row). Whoever begins to refer to an object touches its row in the same
 * transaction; whoever dooms one guards by the age of that touch. The two update the same row, so one of them
 * sees what the other did.
 */

/** The key under which these bytes of a job are, or are to be put. */
export async function claimObject(
  db: Db | Tx,
  jobId: JobId,
  facts: ObjectFacts,
  freshKey: string,
): Promise<string> {
  const [row] = await db
    .insert(storedObjects)
    .values({ key: freshKey, jobId, sha256: facts.sha256, sizeBytes: facts.sizeBytes })
    .onConflictDoUpdate({
      target: [storedObjects.jobId, storedObjects.sha256],
      targetWhere: sql`state <> 'removing'`,
      set: { touchedAt: sql`now()` },
    })
    .returning({ key: storedObjects.key });
  invariant(row, 'a claimed object has a row');
  return row.key;
}

/** arriving → stored; false when it was doomed meanwhile. */
export async function markStored(db: Db | Tx, key: string): Promise<boolean> {
  const rows = await db
    .update(storedObjects)
    .set({ state: 'stored', touchedAt: sql`now()` })
    .where(and(eq(storedObjects.key, key), ne(storedObjects.state, 'removing')))
    .returning({ key: storedObjects.key });
  return rows.length === 1;
}

/**
 * Keeps stored objects of a job from being doomed until the transaction ends, and for a grace time after it.
 * Gives those that are stored; what is missing in the answer is not.
 */
export async function touchObjects(
  tx: Db | Tx,
  jobId: JobId,
  sha256s: readonly string[],
): Promise<{ key: string; sha256: string; sizeBytes: number }[]> {
  const wanted = and(
    eq(storedObjects.jobId, jobId),
    eq(storedObjects.state, 'stored'),
    inArray(storedObjects.sha256, [...sha256s]),
  );
  // In one order, so that two who touch the same objects wait for each other instead of dead-locking.
  const keys = await tx
    .select({ key: storedObjects.key })
    .from(storedObjects)
    .where(wanted)
    .orderBy(asc(storedObjects.key))
    .for('update');
  if (keys.length === 0) return [];
  return await tx
    .update(storedObjects)
    .set({ touchedAt: sql`now()` })
    .where(
      and(
        inArray(
          storedObjects.key,
          keys.map(({ key }) => key),
        ),
        eq(storedObjects.state, 'stored'),
      ),
    )
    .returning({
      key: storedObjects.key,
      sha256: storedObjects.sha256,
      sizeBytes: storedObjects.sizeBytes,
    });
}

/** Bytes of a job's state that are stored, on their way, or waiting to be removed; result files are not state. */
export async function storedStateBytesOf(db: Db | Tx, jobId: JobId): Promise<number> {
  const [row] = await db
    .select({ bytes: sql<string>`coalesce(sum(${storedObjects.sizeBytes}), 0)`.mapWith(Number) })
    .from(storedObjects)
    .where(
      and(
        eq(storedObjects.jobId, jobId),
        notExists(db.select({ one: sql`1` }).from(artifacts).where(eq(artifacts.blobKey, storedObjects.key))),
      ),
    );
  return row?.bytes ?? 0;
}

/**
 * Dooms objects that nothing has referred to for `graceSeconds`, except those that a save under way has been
 * told it need not send. Gives the keys of all that are doomed, those of an earlier, interrupted sweep among them.
 */
export async function doomUnreferenced(db: Db, graceSeconds: number, limit: number): Promise<string[]> {
  const unreferenced = and(
    inArray(storedObjects.state, ['arriving', 'stored']),
    lt(storedObjects.touchedAt, sql`now() - make_interval(secs => ${graceSeconds})`),
    notExists(db.select({ one: sql`1` }).from(artifacts).where(eq(artifacts.blobKey, storedObjects.key))),
    notExists(
      db.select({ one: sql`1` }).from(checkpointChunks).where(eq(checkpointChunks.key, storedObjects.key)),
    ),
    notExists(
      db.select({ one: sql`1` }).from(checkpoints).where(eq(checkpoints.manifestKey, storedObjects.key)),
    ),
    notExists(
      db
        .select({ one: sql`1` })
        .from(checkpoints)
        .where(
          and(
            eq(checkpoints.jobId, storedObjects.jobId),
            eq(checkpoints.state, 'arriving'),
            sql`${checkpoints.takenAt} <= ${storedObjects.touchedAt}`,
          ),
        ),
    ),
  );
  const candidates = await db
    .select({ key: storedObjects.key })
    .from(storedObjects)
    .where(unreferenced)
    .orderBy(asc(storedObjects.touchedAt))
    .limit(limit);
  if (candidates.length > 0) {
    const keys = candidates.map(({ key }) => key);
    await db
      .update(storedObjects)
      .set({ state: 'removing' })
      .where(and(inArray(storedObjects.key, keys), unreferenced));
  }
  const doomed = await db
    .select({ key: storedObjects.key })
    .from(storedObjects)
    .where(eq(storedObjects.state, 'removing'))
    .limit(limit);
  return doomed.map(({ key }) => key);
}

/** The bytes are gone: so is the row. */
export async function forgetObject(db: Db, key: string): Promise<void> {
  await db.delete(storedObjects).where(and(eq(storedObjects.key, key), eq(storedObjects.state, 'removing')));
}
