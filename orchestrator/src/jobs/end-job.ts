import type { Tx } from '@computefabric/db/client';
import { type EndReason, endReasonRow } from '@computefabric/protocol/end-reason';
import type { JobId, LeaseId } from '@computefabric/protocol/ids';
import { notify } from '../background/signals.ts';
import { loseSilentLeases } from '../leases/silent-lease.store.ts';
import { recordEnd } from '../providers/reputation.store.ts';
import { finalizeJob } from './job.store.ts';
import { forgetRegistryLogin } from './registry-login.store.ts';
import { appendJobEvent } from './job-events.store.ts';

interface EndJob {
  jobId: JobId;
  reason: EndReason;
  /** What a machine said beside the reason. */
  detail?: string | null;
  exitCode?: number | null;
  leaseId?: LeaseId | null;
}

/**
 * Makes a job final, for the reason given: its state follows from the end-reason table. Whoever settles the
 * bill hears of it when the transaction commits. False when the job was final already; nothing has changed.
 */
export async function endJob(tx: Tx, { jobId, reason, detail, exitCode, leaseId }: EndJob): Promise<boolean> {
  const row = endReasonRow(reason);
  const ended = await finalizeJob(tx, jobId, {
    finalState: row.finalState,
    reason,
    detail: detail ?? null,
    exitCode: exitCode ?? null,
  });
  if (!ended) return false;
  await forgetRegistryLogin(tx, jobId);
  // A try whose machine may come back is of no use any more: it is told so when it does.
  for (const machine of await loseSilentLeases(tx, jobId)) await recordEnd(tx, machine, 'provider-lost');
  await appendJobEvent(tx, {
    jobId,
    type: 'ended',
    message: row.sentence,
    leaseId: leaseId ?? null,
    data: { reason, exit_code: exitCode ?? null, ...(detail ? { detail } : {}) },
  });
  await notify(tx, 'cf_ended', jobId);
  return true;
}
