import 'server-only';

import { ApiError, UnreachableError } from '@computefabric/api-client/errors';
import type { JobReceipt, SignedJobReceipt } from '@computefabric/protocol/receipts/receipt';
import type { ReceiptView } from '@/types/receipt-view.ts';
import { log } from './log.ts';
import { quickOrchestratorAs } from './orchestrator.ts';
import type { Session } from './session.ts';

/** The receipt of one of the viewer's jobs; null while there is none, or nobody answers: the page goes on without. */
export async function getReceipt(session: Session, jobId: string): Promise<ReceiptView | null> {
  try {
    return toReceiptView(await quickOrchestratorAs(session).receipts.get(jobId));
  } catch (thrown) {
    if (thrown instanceof ApiError && thrown.code === 'receipt/not-ready') return null;
    if (!(thrown instanceof ApiError) && !(thrown instanceof UnreachableError)) throw thrown;
    log.warn({ err: thrown, job_id: jobId }, 'receipt not available');
    return null;
  }
}

function toReceiptView({ receipt, signature }: SignedJobReceipt): ReceiptView {
  const { estimate } = receipt;
  return {
    number: receipt.number,
    issuedAt: new Date(receipt.issued_at),
    costMicros: BigInt(receipt.cost_micros),
    feeMicros: BigInt(receipt.fee_micros),
    earnedMicros: BigInt(receipt.earned_micros),
    refundedMicros: BigInt(receipt.refunded_micros),
    totalMicros: BigInt(receipt.total_micros),
    holdMicros: BigInt(receipt.hold_micros),
    releasedMicros: BigInt(receipt.released_micros),
    freeMs: receipt.free_ms,
    runSeconds: receipt.job.run_seconds,
    waitSeconds: receipt.job.wait_seconds,
    logSha256: receipt.log_sha256,
    signedWith: signature.key,
    estimate: estimate && {
      costLowMicros: BigInt(estimate.cost_low_micros),
      costHighMicros: BigInt(estimate.cost_high_micros),
      runLowSeconds: estimate.run_low_seconds,
      runHighSeconds: estimate.run_high_seconds,
      waitLowSeconds: estimate.wait_low_seconds,
      waitHighSeconds: estimate.wait_high_seconds,
      pastRuns: estimate.past_runs,
    },
    tries: receipt.tries.map(toTryView),
  };
}

function toTryView(one: JobReceipt['tries'][number]): ReceiptView['tries'][number] {
  return {
    id: one.lease_id,
    number: one.attempt,
    machineName: one.machine.name,
    gpus: one.gpus.map(({ uuid, name, simulated }) => ({ uuid, name, simulated })),
    imageDigest: one.image_digest,
    endMessage: one.end_message,
    fault: one.fault,
    microsPerHour: BigInt(one.price_per_hour_micros),
    meteredMs: one.metered_ms,
    billedMs: one.billed_ms,
    costMicros: BigInt(one.cost_micros),
    feeMicros: BigInt(one.fee_micros),
    earnedMicros: BigInt(one.earned_micros),
    logSha256: one.log.sha256,
    files: one.files.map(({ path, size_bytes, sha256 }) => ({ path, sizeBytes: size_bytes, sha256 })),
    signedByMachine: one.intervals.at(-1)?.agent_signature != null,
  };
}
