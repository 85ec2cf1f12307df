import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import type { Countersignature, MeteringRecord, TryTerms } from '@computefabric/protocol/receipts/metering';
import type { Logger } from '@computefabric/runtime/log';
import { countersign, hashBefore } from '@computefabric/runtime/receipts/metering-chain';
import type { Signer } from '@computefabric/runtime/receipts/signatures';
import { type BootClock, type Moment, msBetween } from '../home/boot-clock.ts';

/** The market hears of the start a moment after it; beyond this its meter has run on without us. */
const slackMs = 5_000;

interface WitnessOptions {
  signer: Signer;
  spec: TaskSpec;
  clock: BootClock;
  log: Logger;
}

/**
 * Signs what the market has written down about the running time of a try, where it can be true by this machine's own
 * clock and follows what was signed before. Whoever does not sign loses nothing but the proof: the receipt then says
 * that the machine has not.
 */
export class MeteringWitness {
  readonly #options: WitnessOptions;
  #seen: MeteringRecord | null = null;
  #unsent: Countersignature | undefined;

  constructor(options: WitnessOptions) {
    this.#options = options;
  }

  /** @param startedAt when the program was started here; null when it never was */
  async sign(record: MeteringRecord, startedAt: Moment | null): Promise<Countersignature | undefined> {
    const { signer, spec, clock, log } = this.#options;
    const ranMs = startedAt === null ? 0 : msBetween(startedAt, clock.now());
    const doubt = doubtOf(record, { terms: termsOf(spec), before: this.#seen, ranMs });
    if (doubt !== null) {
      log.warn({ lease_id: spec.lease_id, seq: record.seq, doubt }, 'metering record not signed');
      return undefined;
    }
    const signed = await countersign(signer, termsOf(spec), record);
    this.#seen = record;
    return signed;
  }

  /** The same, for the next heartbeat to take along. */
  async signForHeartbeat(record: MeteringRecord, startedAt: Moment | null): Promise<void> {
    this.#unsent = await this.sign(record, startedAt);
  }

  /** The latest signature, once: one that gets lost on the way is covered by the next. */
  takeUnsent(): Countersignature | undefined {
    const signed = this.#unsent;
    this.#unsent = undefined;
    return signed;
  }
}

/** Why a record cannot be right; null when it can. */
export function doubtOf(
  record: MeteringRecord,
  { terms, before, ranMs }: { terms: TryTerms; before: MeteringRecord | null; ranMs: number },
): string | null {
  if (record.seq === 1 && record.prev !== hashBefore(terms, null)) return 'it names other terms';
  // After a restart the record before it may be one that this process has not seen.
  const follows = before !== null && record.seq === before.seq + 1;
  if (follows && record.prev !== hashBefore(terms, before)) return 'it does not follow the one before';
  if (before !== null && record.total_ms < before.total_ms) return 'it counts less than the one before';
  if (record.total_ms > ranMs + slackMs) return `it counts ${record.total_ms} ms of ${ranMs} ms here`;
  return null;
}

function termsOf(spec: TaskSpec): TryTerms {
  return {
    leaseId: spec.lease_id,
    jobId: spec.job_id,
    fence: spec.fence,
    attempt: spec.attempt,
    pricePerHourMicros: spec.price_per_hour_micros,
    gpuUuids: spec.gpu_uuids,
  };
}
