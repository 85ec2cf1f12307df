import type { Db, Tx } from '@computefabric/db/client';
import { leases } from '@computefabric/db/schema/leases';
import { meteringRecords } from '@computefabric/db/schema/metering-records';
import { providerKeys } from '@computefabric/db/schema/provider-keys';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { LeaseState } from '@computefabric/protocol/lease-state';
import type { Countersignature, MeteringRecord, TryTerms } from '@computefabric/protocol/receipts/metering';
import { and, asc, desc, eq, inArray, isNull, sql } from 'drizzle-orm';

type RecordRow = typeof meteringRecords.$inferSelect;

/** A try with what of its running time is written down already. */
export interface MeteredTry {
  terms: TryTerms;
  state: LeaseState;
  startedAt: Date | null;
  exitedAt: Date | null;
  silentAt: Date | null;
  silentMs: number;
  endedAt: Date | null;
  last: MeteringRecord | null;
  /** The database's clock when it was read. */
  now: Date;
}

/** These tries, each with its latest record; in no order. */
export async function findMeteredTries(db: Db, leaseIds: readonly LeaseId[]): Promise<MeteredTry[]> {
  const last = db
    .select()
    .from(meteringRecords)
    .where(eq(meteringRecords.leaseId, leases.id))
    .orderBy(desc(meteringRecords.seq))
    .limit(1)
    .as('last');
  const rows = await db
    .select({
      id: leases.id,
      jobId: leases.jobId,
      fence: leases.fence,
      attempt: leases.attempt,
      pricePerHourMicros: leases.pricePerHourMicros,
      gpuUuids: sql<string[]>`array(select uuid from gpus where gpus.id = any(${leases.gpuIds}))`,
      state: leases.state,
      startedAt: leases.startedAt,
      exitedAt: leases.exitedAt,
      silentAt: leases.silentAt,
      silentMs: leases.silentMs,
      endedAt: leases.endedAt,
      nowMs: sql<number>`(extract(epoch from now()) * 1000)::float8`,
      seq: last.seq,
      fromAt: last.fromAt,
      toAt: last.toAt,
      meteredMs: last.meteredMs,
      totalMs: last.totalMs,
      final: last.final,
      prev: last.prev,
      keyId: last.keyId,
      signature: last.signature,
      agentKeyId: last.agentKeyId,
      agentSignature: last.agentSignature,
    })
    .from(leases)
    .leftJoinLateral(last, sql`true`)
    .where(inArray(leases.id, [...leaseIds]));
  return rows.map((row) => ({
    ...row,
    terms: {
      leaseId: row.id,
      jobId: row.jobId,
      fence: row.fence,
      attempt: row.attempt,
      pricePerHourMicros: String(row.pricePerHourMicros),
      gpuUuids: row.gpuUuids,
    },
    last: isWhole(row) ? toRecord(row) : null,
    now: new Date(row.nowMs),
  }));
}

/** All records of these tries, each try's in order. */
export async function listRecords(
  db: Db,
  leaseIds: readonly LeaseId[],
): Promise<Map<LeaseId, MeteringRecord[]>> {
  const rows =
    leaseIds.length === 0
      ? []
      : await db
          .select()
          .from(meteringRecords)
          .where(inArray(meteringRecords.leaseId, [...leaseIds]))
          .orderBy(asc(meteringRecords.leaseId), asc(meteringRecords.seq));
  const records = new Map<LeaseId, MeteringRecord[]>(leaseIds.map((id) => [id, []]));
  for (const row of rows) records.get(row.leaseId)?.push(toRecord(row));
  return records;
}

/** Writes records down. One whose number is taken is left out: another process has written it. */
export async function insertRecords(
  db: Db,
  records: readonly { leaseId: LeaseId; record: MeteringRecord }[],
): Promise<void> {
  if (records.length === 0) return;
  await db
    .insert(meteringRecords)
    .values(
      records.map(({ leaseId, record }) => ({
        leaseId,
        seq: record.seq,
        fromAt: new Date(record.from),
        toAt: new Date(record.to),
        meteredMs: record.metered_ms,
        totalMs: record.total_ms,
        final: record.final,
        prev: record.prev,
        keyId: record.key,
        signature: record.signature,
      })),
    )
    .onConflictDoNothing();
}

/** The record that a machine has signed, if the try is its own. */
export async function findRecordOf(
  db: Db,
  claim: { leaseId: LeaseId; providerId: ProviderId; fence: number },
  seq: number,
): Promise<MeteringRecord | null> {
  const [row] = await db
    .select({ record: meteringRecords })
    .from(meteringRecords)
    .innerJoin(leases, eq(leases.id, meteringRecords.leaseId))
    .where(
      and(
        eq(meteringRecords.leaseId, claim.leaseId),
        eq(meteringRecords.seq, seq),
        eq(leases.providerId, claim.providerId),
        eq(leases.fence, claim.fence),
      ),
    );
  return row ? toRecord(row.record) : null;
}

/** Adds a machine's signature to a record, once; a repeat changes nothing. */
export async function addCountersignature(
  db: Db,
  leaseId: LeaseId,
  { seq, key, signature }: Countersignature,
): Promise<void> {
  await db
    .update(meteringRecords)
    .set({ agentKeyId: key, agentSignature: signature })
    .where(
      and(
        eq(meteringRecords.leaseId, leaseId),
        eq(meteringRecords.seq, seq),
        isNull(meteringRecords.agentSignature),
      ),
    );
}

/** Remembers a machine's public key; those that it had before stay. */
export async function insertProviderKey(
  tx: Tx,
  row: { providerId: ProviderId; signingKeyId: string; publicKey: string },
): Promise<void> {
  await tx.insert(providerKeys).values(row).onConflictDoNothing();
}

/** Public keys of machines, by key id. */
export async function listProviderKeys(
  db: Db,
  providerIds: readonly ProviderId[],
): Promise<Map<ProviderId, Map<string, string>>> {
  const rows =
    providerIds.length === 0
      ? []
      : await db
          .select()
          .from(providerKeys)
          .where(inArray(providerKeys.providerId, [...new Set(providerIds)]));
  const keys = new Map<ProviderId, Map<string, string>>();
  for (const row of rows) {
    const ofMachine = keys.get(row.providerId) ?? new Map<string, string>();
    keys.set(row.providerId, ofMachine.set(row.signingKeyId, row.publicKey));
  }
  return keys;
}

type LastRow = { [Column in keyof Omit<RecordRow, 'leaseId'>]: RecordRow[Column] | null };

/** Whether the lateral join found a record. */
function isWhole<Row extends LastRow>(row: Row): row is Row & Omit<RecordRow, 'leaseId'> {
  return row.seq !== null;
}

function toRecord(row: Omit<RecordRow, 'leaseId'>): MeteringRecord {
  return {
    seq: row.seq,
    from: row.fromAt.toISOString(),
    to: row.toAt.toISOString(),
    metered_ms: row.meteredMs,
    total_ms: row.totalMs,
    final: row.final,
    prev: row.prev,
    key: row.keyId,
    signature: row.signature,
    agent_key: row.agentKeyId,
    agent_signature: row.agentSignature,
  };
}
