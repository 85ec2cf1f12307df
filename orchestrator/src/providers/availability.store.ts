import type { Db, Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { providers } from '@computefabric/db/schema/providers';
import type { JobId, LeaseId, ProviderId, UserId } from '@computefabric/protocol/ids';
import { and, asc, eq, inArray, isNotNull, lte, ne, or, sql } from 'drizzle-orm';
import type { AnyPgColumn, PgUpdateSetSource } from 'drizzle-orm/pg-core';
import { notifyAll } from '../background/signals.ts';

/*
 * What a machine's owner wants of it. Apart from what is so (`providers.state`): a machine may be paused and
 * offline, and is still paused when it returns.
 */

/** A machine of this owner; what is wished of it is written with that as the guard. */
export interface OwnedMachine {
  ownerId: UserId;
  providerId: ProviderId;
}

type Change = PgUpdateSetSource<typeof providers>;

/** open, draining or paused → paused, until resumed or for some seconds; false when it is not the owner's. */
export async function pauseMachine(
  db: Db,
  machine: OwnedMachine,
  { forSeconds, reason }: { forSeconds: number | null; reason: string },
): Promise<boolean> {
  return await wish(db, machine, {
    availability: 'paused',
    availabilityReason: reason,
    availabilityUntil: forSeconds === null ? null : inSeconds(forSeconds),
    vacateBy: null,
  });
}

/** open, paused or draining → draining: empty within some seconds; false when it is not the owner's. */
export async function drainMachine(
  db: Db,
  machine: OwnedMachine,
  { withinSeconds, reason }: { withinSeconds: number; reason: string },
): Promise<boolean> {
  return await wish(db, machine, {
    availability: 'draining',
    availabilityReason: reason,
    availabilityUntil: null,
    vacateBy: inSeconds(withinSeconds),
  });
}

/** Open again; false when it is not the owner's. A planned absence stays. */
export async function resumeMachine(db: Db, machine: OwnedMachine): Promise<boolean> {
  return await wish(db, machine, {
    availability: 'open',
    availabilityReason: '',
    availabilityUntil: null,
    vacateBy: null,
  });
}

/** Plans an absence, or takes it back (null); false when the machine is not the owner's. */
export async function planAbsence(
  db: Db,
  machine: OwnedMachine,
  absence: { from: Date; until: Date; reason: string } | null,
): Promise<boolean> {
  return await wish(db, machine, {
    awayFrom: absence?.from ?? null,
    awayUntil: absence?.until ?? null,
    ...(absence?.reason ? { availabilityReason: absence.reason } : {}),
  });
}

async function wish(db: Db, { ownerId, providerId }: OwnedMachine, change: Change): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const rows = await tx
      .update(providers)
      .set(change)
      .where(and(eq(providers.id, providerId), eq(providers.ownerId, ownerId)))
      .returning({ id: providers.id });
    if (rows.length > 0) await notifyAll(tx, 'cf_queue', [providerId]);
    return rows.length > 0;
  });
}

/** Ends what was wished until now only, and absences that are over, on the database's clock. */
export async function reopenMachines(db: Db): Promise<ProviderId[]> {
  return await db.transaction(async (tx) => {
    const opened = await tx
      .update(providers)
      .set({ availability: 'open', availabilityReason: '', availabilityUntil: null, vacateBy: null })
      .where(and(ne(providers.availability, 'open'), lte(providers.availabilityUntil, sql`now()`)))
      .returning({ id: providers.id });
    const back = await tx
      .update(providers)
      .set({
        awayFrom: null,
        awayUntil: null,
        availabilityReason: sql`case when ${providers.availability} = 'open' then '' else ${providers.availabilityReason} end`,
      })
      .where(lte(providers.awayUntil, sql`now()`))
      .returning({ id: providers.id });
    const ids = [...new Set([...opened, ...back].map(({ id }) => id))];
    if (ids.length > 0) await notifyAll(tx, 'cf_queue', ids);
    return ids;
  });
}

/** Whether the machine is to be empty now: its drain is over time, or its absence has begun. */
const isToBeEmpty = or(
  and(eq(providers.availability, 'draining'), lte(providers.vacateBy, sql`now()`)),
  and(lte(providers.awayFrom, sql`now()`), sql`${providers.awayUntil} > now()`),
);

/** Tries on machines that are to be empty and of which nobody has asked that they stop, oldest first. */
export async function findTriesToMove(db: Db, limit: number): Promise<{ id: LeaseId; jobId: JobId }[]> {
  return await db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(providers)
    .innerJoin(
      leases,
      and(
        eq(leases.providerId, providers.id),
        inArray(leases.state, ['offered', 'active']),
        eq(leases.desired, 'run'),
      ),
    )
    .where(and(or(isNotNull(providers.vacateBy), isNotNull(providers.awayFrom)), isToBeEmpty))
    .orderBy(asc(leases.fence))
    .limit(limit);
}

/** The same of one machine, whose agent has said that it leaves. */
export async function findTriesOn(db: Db, providerId: ProviderId): Promise<{ id: LeaseId; jobId: JobId }[]> {
  return await db
    .select({ id: leases.id, jobId: leases.jobId })
    .from(leases)
    .where(
      and(
        eq(leases.providerId, providerId),
        inArray(leases.state, ['offered', 'active']),
        eq(leases.desired, 'run'),
      ),
    );
}

/** Most that a job gets to end by itself when its machine is taken back, as the owner wants it. */
export async function moveGraceSeconds(tx: Tx, providerId: ProviderId): Promise<number> {
  const [row] = await tx
    .select({ seconds: providers.moveGraceSeconds })
    .from(providers)
    .where(eq(providers.id, providerId));
  return row?.seconds ?? 0;
}

/** Milliseconds until some machine opens, returns, has to be empty or leaves; null when nothing is planned. */
export async function nextAvailabilityChangeMs(db: Db): Promise<number | null> {
  const ahead = (column: AnyPgColumn) => sql`case when ${column} > now() then ${column} end`;
  const [row] = await db
    .select({
      ms: sql<number | null>`(extract(epoch from min(least(
        ${ahead(providers.availabilityUntil)}, ${ahead(providers.vacateBy)},
        ${ahead(providers.awayFrom)}, ${ahead(providers.awayUntil)})) - now()) * 1000)::float8`,
    })
    .from(providers);
  return row?.ms ?? null;
}

function inSeconds(seconds: number) {
  return sql`now() + make_interval(secs => ${seconds})`;
}
