import type { Db, Tx } from '@computefabric/db/client';
import { gpus } from '@computefabric/db/schema/gpus';
import { providers } from '@computefabric/db/schema/providers';
import { type GpuId, newId, type ProviderId, type UserId } from '@computefabric/protocol/ids';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import { providerMachine, type ProviderState } from '@computefabric/protocol/provider-state';
import { and, eq, inArray, notInArray, sql } from 'drizzle-orm';
import { notify, notifyAll } from '../background/signals.ts';
import { newMachineReliabilityMilli } from './reputation.store.ts';

export type ProviderRow = typeof providers.$inferSelect;

/** What a machine shows when it speaks: its key, or, from before there were keys, the hash of its secret. */
export type MachineProof = { identityKey: string } | { credentialHash: string };

/** A new machine of an owner, which has yet to say hello; false when its key belongs to a machine already. */
export async function insertProvider(
  tx: Tx,
  {
    proof,
    ...row
  }: { id: ProviderId; ownerId: UserId; name: string; agentVersion: string; proof: MachineProof },
): Promise<boolean> {
  const inserted = await tx
    .insert(providers)
    .values({ ...row, ...proof, reliabilityMilli: newMachineReliabilityMilli })
    .onConflictDoNothing({ target: providers.identityKey })
    .returning({ id: providers.id });
  return inserted.length === 1;
}

/** The owner's machine with this key or secret; null when there is none. */
export async function findProviderByProof(
  tx: Tx,
  ownerId: UserId,
  proof: MachineProof,
): Promise<{ id: ProviderId; name: string } | null> {
  const isProven =
    'identityKey' in proof
      ? eq(providers.identityKey, proof.identityKey)
      : eq(providers.credentialHash, proof.credentialHash);
  const [row] = await tx
    .select({ id: providers.id, name: providers.name })
    .from(providers)
    .where(and(eq(providers.ownerId, ownerId), isProven));
  return row ?? null;
}

/**
 * Locks a machine that speaks of a try of its own, while its room is looked at: nobody else gives that out
 * meanwhile. It may still count as offline; null when it leaves or is kept out.
 */
export async function lockReturningProvider(tx: Tx, providerId: ProviderId): Promise<ProviderRow | null> {
  const [row] = await tx
    .select()
    .from(providers)
    .where(and(eq(providers.id, providerId), inArray(providers.state, ['online', 'offline'])))
    .for('no key update');
  return row ?? null;
}

/** Whether the machine has all of these cards now. */
export async function arePresent(tx: Tx, providerId: ProviderId, ids: readonly GpuId[]): Promise<boolean> {
  if (ids.length === 0) return true;
  const rows = await tx
    .select({ id: gpus.id })
    .from(gpus)
    .where(and(inArray(gpus.id, [...ids]), eq(gpus.providerId, providerId), eq(gpus.present, true)));
  return rows.length === ids.length;
}

/** What a machine says of itself when it opens a session. */
interface HelloFacts {
  agentVersion: string;
  inventory: Inventory;
  ownerNotice: OwnerNotice | null;
}

/**
 * Opens the machine's next session with what it has now; null when it is suspended. Calls of the session
 * before are stale from here on.
 */
export async function openSession(
  tx: Tx,
  providerId: ProviderId,
  { agentVersion, inventory, ownerNotice }: HelloFacts,
): Promise<ProviderRow | null> {
  const [row] = await tx
    .update(providers)
    .set({
      state: 'online',
      session: sql`${providers.session} + 1`,
      agentVersion,
      hostname: inventory.hostname,
      os: inventory.os,
      arch: inventory.arch,
      cpuModel: inventory.cpu_model,
      cpuMilli: Math.round(inventory.cpus * 1_000),
      memoryMib: inventory.memory_mib,
      diskFreeMib: inventory.disk_free_mib,
      dockerVersion: inventory.docker_version,
      pricePerGpuHourMicros: BigInt(inventory.price_per_gpu_hour_micros),
      pricePerCpuHourMicros: BigInt(inventory.price_per_cpu_hour_micros),
      spotPercent: inventory.spot_percent,
      sharesGpus: inventory.shares_gpus,
      moveGraceSeconds: inventory.move_grace_seconds,
      region: inventory.region,
      cudaVersion: inventory.cuda_version,
      networks: inventory.networks,
      networkNote: inventory.network_note,
      diskLimited: inventory.disk_limited,
      diskNote: inventory.disk_note,
      sandbox: inventory.sandbox,
      cachedImages: inventory.cached_images,
      ownerNotice,
      lastSeenAt: sql`now()`,
    })
    .where(
      and(
        eq(providers.id, providerId),
        inArray(providers.state, [...providerMachine.sourcesOf('online'), 'online']),
      ),
    )
    .returning();
  return row ?? null;
}

/** Makes the machine's cards those of its inventory; one that is gone keeps its row, marked as not present. */
export async function replaceGpus(tx: Tx, providerId: ProviderId, cards: Inventory['gpus']): Promise<void> {
  if (cards.length > 0) {
    await tx
      .insert(gpus)
      .values(
        cards.map((card) => ({
          id: newId('gpu'),
          providerId,
          uuid: card.uuid,
          index: card.index,
          name: card.name,
          memoryMib: card.memory_mib,
          driverVersion: card.driver_version,
          computeCapability: card.compute_capability,
          simulated: card.simulated,
          present: true,
        })),
      )
      .onConflictDoUpdate({
        target: [gpus.providerId, gpus.uuid],
        set: {
          index: sql`excluded.index`,
          name: sql`excluded.name`,
          memoryMib: sql`excluded.memory_mib`,
          driverVersion: sql`excluded.driver_version`,
          computeCapability: sql`excluded.compute_capability`,
          simulated: sql`excluded.simulated`,
          present: sql`true`,
        },
      });
  }
  await tx
    .update(gpus)
    .set({ present: false })
    .where(
      and(
        eq(gpus.providerId, providerId),
        notInArray(
          gpus.uuid,
          cards.map((card) => card.uuid),
        ),
      ),
    );
}

/**
 * Marks the machine as seen, if this is its current session. One that was taken for silent is online again, with
 * `revive`; else it is said to be `offline`, so that what it still has can be looked at before it gets new work.
 */
export async function touchSession(
  db: Db,
  providerId: ProviderId,
  session: number,
  { revive }: { revive: boolean } = { revive: true },
): Promise<'current' | 'offline' | 'stale' | 'suspended'> {
  const mine = and(eq(providers.id, providerId), eq(providers.session, session));
  const [row] = await db
    .update(providers)
    .set({ lastSeenAt: sql`now()` })
    .where(mine)
    .returning({ state: providers.state });
  if (!row) return 'stale';
  if (row.state === 'suspended') return 'suspended';
  if (row.state === 'offline' && !revive) return 'offline';
  if (row.state === 'offline') {
    await db.transaction(async (tx) => {
      const revived = await tx
        .update(providers)
        .set({ state: 'online' })
        .where(and(mine, eq(providers.state, 'offline')))
        .returning({ id: providers.id });
      if (revived.length > 0) await notify(tx, 'cf_queue', providerId);
    });
  }
  return 'current';
}

/** A machine's moment is written at most so often: what judges its silence counts in lease times. */
const touchSeconds = 2;

/**
 * `touchSession` without `revive`, for many machines in one statement. A machine that is being given work just now is not waited
 * for: it has been seen, and its moment is written the next time.
 */
export async function touchSessions(
  db: Db,
  calls: readonly { providerId: ProviderId; session: number }[],
): Promise<('current' | 'offline' | 'stale' | 'suspended')[]> {
  const ids = calls.map(({ providerId }) => providerId);
  const { rows } = await db.execute<{ id: ProviderId; session: string; state: ProviderState }>(sql`
    with seen as (
      select id, session, state, last_seen_at from providers where id = any(${sql.param(ids)}::text[])
    ), touched as (
      update providers set last_seen_at = now() where id in (
        select p.id from providers p
        join unnest(${sql.param(ids)}::text[],
          ${sql.param(calls.map((call) => call.session))}::bigint[]) as call (id, session)
          on call.id = p.id and call.session = p.session
        where p.last_seen_at < now() - make_interval(secs => ${touchSeconds})
        order by p.id for no key update of p skip locked)
    )
    select id, session, state from seen`);
  const known = new Map(rows.map((row) => [row.id, row]));
  return calls.map(({ providerId, session }) => {
    const row = known.get(providerId);
    if (!row || Number(row.session) !== session) return 'stale';
    if (row.state === 'suspended' || row.state === 'offline') return row.state;
    return 'current';
  });
}

/**
 * Takes no new work, or leaves. Leaving ends the session by taking its number away, so that a straggling call
 * cannot bring the machine back.
 */
export async function leaveMarket(
  tx: Tx,
  providerId: ProviderId,
  session: number,
  leaving: boolean,
): Promise<boolean> {
  const state = leaving ? 'offline' : 'draining';
  const rows = await tx
    .update(providers)
    .set({ state, ...(leaving ? { session: sql`${providers.session} + 1` } : {}) })
    .where(
      and(
        eq(providers.id, providerId),
        eq(providers.session, session),
        inArray(providers.state, [...providerMachine.sourcesOf(state), state]),
      ),
    )
    .returning({ id: providers.id });
  return rows.length === 1;
}

/** Machines not heard of for longer than the lease time are offline until they say hello again. */
export async function markSilentProvidersOffline(db: Db, silentSeconds: number): Promise<void> {
  await db.transaction(async (tx) => {
    const silent = await tx
      .update(providers)
      .set({ state: 'offline' })
      .where(
        and(
          inArray(providers.state, ['online', 'draining']),
          sql`${providers.lastSeenAt} < now() - make_interval(secs => ${silentSeconds})`,
        ),
      )
      .returning({ id: providers.id });
    // The matcher proposes them no more, and whoever waits is told of what is there.
    await notifyAll(
      tx,
      'cf_queue',
      silent.map(({ id }) => id),
    );
  });
}
