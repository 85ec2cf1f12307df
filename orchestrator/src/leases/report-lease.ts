import type { endedLease } from '@computefabric/protocol/provider-api/v1/leases';
import { AppError } from '@computefabric/runtime/errors';
import type { z } from 'zod';
import { databaseNow } from '../background/database-now.ts';
import { notify } from '../background/signals.ts';
import { findCheckpoint } from '../checkpoints/checkpoint.store.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { finishJob, startJob } from '../jobs/job.store.ts';
import { leftSeconds } from '../metering/usage.ts';
import { stale, withClaimedLease } from './claimed-lease.ts';
import { endLease } from './end-lease.ts';
import { judgeEnd } from './judge-end.ts';
import {
  activateLease,
  activateLeases,
  type LeaseClaim,
  markExited,
  markStarted,
  releaseLease,
} from './lease.store.ts';
import type { LeaseDeps } from './lease-deps.ts';
import { startAtOnce } from './start.store.ts';
import { planMoneyStop } from './money-cap.store.ts';
import { termSeconds } from './silent-lease.ts';

/*
 * What a machine reports of a try, in the order of its life. Each report may come twice: the second finds the
 * first one's effect and gives the same answer. A report that the state does not allow is stale.
 */

/** The machine takes the offer. */
export async function acceptLease(deps: LeaseDeps, claim: LeaseClaim): Promise<void> {
  await withClaimedLease(deps, 'accept', claim, async (tx, job, lease) => {
    if (lease.state === 'active') return;
    if (!(await activateLease(tx, claim, termSeconds(deps.settings, job)))) throw stale();
    await appendJobEvent(tx, {
      jobId: job.id,
      type: 'accepted',
      message: acceptedMessage,
      leaseId: lease.id,
    });
  });
}

const acceptedMessage = 'The machine accepted the job and prepares it.';

/**
 * Many machines take their offers in one statement. What is not an offer that waits for just this answer (a
 * repeat, a stale claim, a call of an old session) is left to `acceptLease`, which says what is wrong with it.
 *
 * @returns for each claim, in their order, whether it was accepted
 */
export async function acceptLeases(
  deps: LeaseDeps,
  claims: readonly (LeaseClaim & { session: number })[],
): Promise<boolean[]> {
  const accepted = await activateLeases(deps.db, claims, {
    ttlSeconds: deps.settings.leaseTtlSeconds,
    message: acceptedMessage,
  });
  return claims.map(({ leaseId }) => accepted.has(leaseId));
}

/** The machine declines the offer; the job goes back to the queue. */
export async function rejectLease(deps: LeaseDeps, claim: LeaseClaim, reason: string): Promise<void> {
  await withClaimedLease(deps, 'reject', claim, async (tx, job, lease) => {
    if (lease.state === 'rejected') return;
    if (lease.state !== 'offered') throw stale();
    await endLease(tx, deps.settings, {
      job,
      lease,
      to: 'rejected',
      reason: 'offer-rejected',
      detail: reason,
    });
  });
}

const startedMessage = 'The program runs; billing has started.';

/**
 * The program runs: the meter starts now. False for whatever is not the first word about it in the machine's
 * session: `startLease` says what is wrong with that, if anything is.
 */
export async function startLeaseAtOnce(
  deps: LeaseDeps,
  claim: LeaseClaim & { session: number },
  imageDigest: string | null,
): Promise<boolean> {
  return await startAtOnce(deps.db, claim, { imageDigest, message: startedMessage });
}

/** The same, looked at closely. */
export async function startLease(
  deps: LeaseDeps,
  claim: LeaseClaim,
  imageDigest: string | null,
): Promise<void> {
  await withClaimedLease(deps, 'started', claim, async (tx, job, lease) => {
    if (lease.state !== 'active') throw stale();
    if (lease.startedAt) return;
    const started = await markStarted(tx, claim, imageDigest);
    if (!started) throw stale();
    if (job.maxCostMicros !== null) await planMoneyStop(tx, job, started, await databaseNow(tx));
    // False when the renter has asked to stop meanwhile: the job is finishing already and stays so.
    await startJob(tx, job.id, lease.id);
    await appendJobEvent(tx, {
      jobId: job.id,
      type: 'started',
      message: startedMessage,
      leaseId: lease.id,
      data: { image_digest: imageDigest },
    });
  });
}

/** The program has ended: the meter stops now; output and results may follow. */
export async function exitLease(deps: LeaseDeps, claim: LeaseClaim, exitCode: number | null): Promise<void> {
  await withClaimedLease(deps, 'exited', claim, async (tx, job, lease) => {
    if (lease.state !== 'active') throw stale();
    if (lease.exitedAt) return;
    if (!(await markExited(tx, claim, exitCode))) throw stale();
    await finishJob(tx, job.id, lease.id); // false when it is finishing already, on a cancel
    await appendJobEvent(tx, {
      jobId: job.id,
      type: 'exited',
      message: 'The program has ended; billing has stopped. Results are being saved.',
      leaseId: lease.id,
      data: { exit_code: exitCode },
    });
  });
}

type EndedBody = z.output<NonNullable<typeof endedLease.body>>;

/** The try is over and everything of it has arrived. Gives the moment at which it ended. */
export async function reportEnd(deps: LeaseDeps, claim: LeaseClaim, body: EndedBody): Promise<Date> {
  return await withClaimedLease(deps, 'ended', claim, async (tx, job, lease) => {
    if ((lease.state === 'releasing' || lease.state === 'released') && lease.endedAt) return lease.endedAt;
    if (lease.state !== 'active') throw stale();
    if (lease.nextLogSeq < body.log_chunks) {
      throw new AppError('lease/logs-incomplete', { details: { next_seq: lease.nextLogSeq } });
    }
    const now = await databaseNow(tx);
    const state = lease.resumedFrom ? await findCheckpoint(tx, lease.resumedFrom) : null;
    const reason = judgeEnd({
      reported: body.reason,
      stateDamaged: state?.state === 'damaged',
      exitCode: body.exit_code,
      stopReason: lease.stopReason,
      stopSeenAt: lease.desiredSeenAt,
      span: { ...lease, now, timeLimitSeconds: leftSeconds(job) },
    });
    const closed = await endLease(tx, deps.settings, {
      job,
      lease,
      to: 'releasing',
      reason,
      detail: body.detail,
      exitCode: body.exit_code,
    });
    if (!closed?.endedAt) throw stale();
    return closed.endedAt;
  });
}

/** Container and all are gone: the GPUs are free. */
export async function releaseClaimedLease(deps: LeaseDeps, claim: LeaseClaim): Promise<void> {
  await withClaimedLease(deps, 'released', claim, async (tx, _job, lease) => {
    if (lease.state === 'released') return;
    if (!(await releaseLease(tx, lease.id, 'released'))) throw stale();
    await notify(tx, 'cf_queue', lease.providerId);
  });
}
