import type { Db } from '@computefabric/db/client';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { Countersignature, MeteringRecord } from '@computefabric/protocol/receipts/metering';
import { recordText } from '@computefabric/protocol/receipts/metering';
import type { Logger } from '@computefabric/runtime/log';
import { signRecord } from '@computefabric/runtime/receipts/metering-chain';
import { isSignedBy, type Signer } from '@computefabric/runtime/receipts/signatures';
import { Coalescer } from '../background/coalescer.ts';
import {
  addCountersignature,
  findMeteredTries,
  findRecordOf,
  insertRecords,
  listProviderKeys,
  type MeteredTry,
} from './metering.store.ts';
import { heardMs } from './usage.ts';

/** A try that runs for longer than this has its time written down as often. */
const recordEveryMs = 60_000;
/** Of a machine's heartbeats: tries whose next record is awaited. Beyond it the oldest is forgotten, which only delays one. */
const mostAwaited = 100_000;

interface Claim {
  leaseId: LeaseId;
  providerId: ProviderId;
  fence: number;
}

/**
 * Writes the running time of tries down in signed records: one a minute while they run, at a heartbeat that was
 * accepted, and one at the end. Heartbeats in between cost nothing: when the next record is due is remembered here,
 * and forgetting it (a restart, another orchestrator) only makes the next record longer.
 *
 * The end of a try never waits for its record: what is missing is written from the frozen times of the try, now or
 * when somebody asks for a receipt.
 */
export class MeterBook {
  readonly #db: Db;
  readonly #log: Logger;
  readonly #signer: Signer;
  readonly #now: () => number;
  readonly #dueMs = new Map<LeaseId, number>();
  readonly #closings: Coalescer<LeaseId, MeteringRecord | null>;

  constructor({
    db,
    log,
    signer,
    monotonicMs = () => performance.now(),
  }: { db: Db; log: Logger; signer: Signer; monotonicMs?: () => number }) {
    this.#db = db;
    this.#log = log;
    this.#signer = signer;
    this.#now = monotonicMs;
    this.#closings = new Coalescer((ids: LeaseId[]) => this.#closeMany(ids), 200);
  }

  /** A heartbeat of a running try was accepted: gives the record for the machine to sign, when one was due. */
  async heard(leaseId: LeaseId): Promise<MeteringRecord | null> {
    const due = this.#dueMs.get(leaseId);
    if (due === undefined) {
      this.#await(leaseId);
      return null;
    }
    if (this.#now() < due) return null;
    this.#await(leaseId);
    const [found] = await findMeteredTries(this.#db, [leaseId]);
    if (found?.state !== 'active' || !found.startedAt || found.exitedAt || found.last?.final) return null;
    const from = found.last ? new Date(found.last.to) : found.startedAt;
    // Another orchestrator has just written one.
    if (found.now.getTime() - from.getTime() < recordEveryMs / 2) return null;
    const record = await this.#sign(found, from, found.now, false);
    await insertRecords(this.#db, [{ leaseId, record }]);
    return record;
  }

  /** A try has ended: gives its last record, for the machine to sign; null when it never ran. */
  async close(leaseId: LeaseId): Promise<MeteringRecord | null> {
    this.#dueMs.delete(leaseId);
    return await this.#closings.call(leaseId);
  }

  /** The same, for whoever must not fail because of it. */
  async tryToClose(leaseId: LeaseId): Promise<MeteringRecord | null> {
    try {
      return await this.close(leaseId);
    } catch (thrown) {
      // The receipt writes it from the same frozen times.
      this.#log.warn({ err: thrown, lease_id: leaseId }, 'the last metering record was not written yet');
      return null;
    }
  }

  /** Keeps a machine's signature of a record. One that does not fit is left out: the receipt then says that there is none. */
  async countersigned(claim: Claim, given: Countersignature): Promise<void> {
    const record = await findRecordOf(this.#db, claim, given.seq);
    if (!record || record.agent_signature !== null) return;
    const keys = (await listProviderKeys(this.#db, [claim.providerId])).get(claim.providerId);
    const publicKey = keys?.get(given.key);
    if (publicKey === undefined || !isSignedBy(publicKey, recordText(claim, record), given.signature)) {
      this.#log.warn(
        { lease_id: claim.leaseId, provider_id: claim.providerId, seq: given.seq },
        'the machine signed its metering with something else',
      );
      return;
    }
    await addCountersignature(this.#db, claim.leaseId, given);
  }

  #await(leaseId: LeaseId): void {
    this.#dueMs.delete(leaseId); // to the end of the order
    this.#dueMs.set(leaseId, this.#now() + recordEveryMs);
    if (this.#dueMs.size <= mostAwaited) return;
    const [oldest] = this.#dueMs.keys();
    if (oldest !== undefined) this.#dueMs.delete(oldest);
  }

  async #closeMany(ids: LeaseId[]): Promise<(MeteringRecord | null)[]> {
    const found = await findMeteredTries(this.#db, ids);
    const open = found.flatMap((one) =>
      one.endedAt && one.startedAt && one.exitedAt && !one.last?.final
        ? [{ one, from: one.last ? new Date(one.last.to) : one.startedAt, to: one.exitedAt }]
        : [],
    );
    const signed = await Promise.all(
      open.map(async ({ one, from, to }) => ({
        leaseId: one.terms.leaseId,
        record: await this.#sign(one, from, to, true),
      })),
    );
    await insertRecords(this.#db, signed);
    const finals = new Map<LeaseId, MeteringRecord>([
      ...found.flatMap((one): [LeaseId, MeteringRecord][] =>
        one.last?.final ? [[one.terms.leaseId, one.last]] : [],
      ),
      ...signed.map(({ leaseId, record }): [LeaseId, MeteringRecord] => [leaseId, record]),
    ]);
    return ids.map((id) => finals.get(id) ?? null);
  }

  #sign(one: MeteredTry, from: Date, to: Date, final: boolean): Promise<MeteringRecord> {
    return signRecord(this.#signer, one.terms, one.last, {
      from: from.toISOString(),
      // A record that was made at a heartbeat may be later than the exit that had been accepted just before.
      to: (to > from ? to : from).toISOString(),
      totalMs: heardMs({ ...one, now: to }),
      final,
    });
  }
}
