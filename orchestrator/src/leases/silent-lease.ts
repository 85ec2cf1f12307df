import type { Tx } from '@computefabric/db/client';
import type { HeldJobState } from '@computefabric/protocol/job-state';
import { limits } from '@computefabric/protocol/limits';
import { backoffMs } from '@computefabric/runtime/backoff';
import { invariant } from '@computefabric/runtime/invariant';
import { databaseNow } from '../background/database-now.ts';
import { notifyAll } from '../background/signals.ts';
import { appendJobEvent } from '../jobs/job-events.store.ts';
import { type JobRow, lockJob, reattachJob, requeueJob } from '../jobs/job.store.ts';
import { meteredMs } from '../metering/usage.ts';
import { arePresent, lockReturningProvider } from '../providers/provider.store.ts';
import { endLease } from './end-lease.ts';
import { isLeaseDue } from './lease-expiry.store.ts';
import { findLease, type LeaseClaim, type LeaseRow, lockLease, sumOpenLeases } from './lease.store.ts';
import type { LeaseDeps, LeaseSettings } from './lease-deps.ts';
import { hasSilentLease, returnLease, silenceLease } from './silent-lease.store.ts';

/*
 * A machine that is not heard of for as long as its job allows. Most jobs move on at once: the try is lost. A
 * job may instead wait for the machine, or have a replacement started and, when the machine returns after all,
 * keep one of the two. Whatever it asked for, one try of it is open at a time and one result is accepted.
 */

/** A program that stopped by itself is not waited for; this much later nobody speaks of it any more. */
const returnMarginSeconds = 30;

/** How long the machine of a job counts as alive after it was last heard: never shorter than the lease time. */
export function termSeconds(
  settings: Pick<LeaseSettings, 'leaseTtlSeconds'>,
  job: Pick<JobRow, 'lostAfterSeconds'>,
): number {
  return Math.max(settings.leaseTtlSeconds, job.lostAfterSeconds ?? 0);
}

/**
 * After how much silence the machine stops the program by itself; null is the lease time. A try that may be
 * kept goes on as long as anybody may wait for it, unless the job says otherwise.
 */
export function stopAfterSilenceSeconds(
  settings: Pick<LeaseSettings, 'leaseTtlSeconds'>,
  job: Pick<JobRow, 'lostAfterSeconds' | 'stopAfterSeconds' | 'replaceWhenLost' | 'keepOnReturn'>,
): number | null {
  if (job.stopAfterSeconds !== null) return Math.max(job.stopAfterSeconds, settings.leaseTtlSeconds);
  if (mayReturn(job)) return limits.silenceSeconds;
  return job.lostAfterSeconds === null ? null : termSeconds(settings, job);
}

function mayReturn(job: Pick<JobRow, 'replaceWhenLost' | 'keepOnReturn'>): boolean {
  return !job.replaceWhenLost || job.keepOnReturn !== 'replacement';
}

/**
 * The time of an active lease is over: it is lost, or silent when its job may want it back. Both rows are locked.
 * At most one try of a job is silent, and one that was to stop anyway is not waited for.
 */
export async function loseOrSilence(
  tx: Tx,
  settings: LeaseSettings,
  job: JobRow,
  lease: LeaseRow,
): Promise<void> {
  const isWaitedFor =
    mayReturn(job) &&
    job.leaseId === lease.id &&
    lease.desired === 'run' &&
    job.cancelRequestedAt === null &&
    !(await hasSilentLease(tx, job.id));
  if (!isWaitedFor) {
    await endLease(tx, settings, { job, lease, to: 'lost', reason: 'provider-lost' });
    return;
  }
  const term = termSeconds(settings, job);
  const waitSeconds =
    job.stopAfterSeconds === null
      ? limits.silenceSeconds
      : Math.max(job.stopAfterSeconds - term, 0) + returnMarginSeconds;
  const silenced = await silenceLease(tx, lease.id, { termSeconds: term, waitSeconds });
  invariant(silenced, `${lease.id} was active while it was locked`);
  await notifyAll(tx, 'cf_queue', [lease.providerId, job.id]); // the try holds nothing of the machine now
  if (job.replaceWhenLost) {
    const backoffSeconds = backoffMs(0, { baseMs: 1_000, maxMs: 1_000 }) / 1_000;
    const ran = lease.startedAt !== null;
    const requeued = await requeueJob(tx, job.id, lease.id, {
      backoffSeconds,
      countsFailure: false,
      spentMs: 0,
      ran,
    });
    invariant(requeued, `${job.id} held ${lease.id} and could not be queued again`);
  }
  await appendJobEvent(tx, {
    jobId: job.id,
    type: 'silent',
    message: job.replaceWhenLost
      ? `The machine has not been heard of for ${term} s. A replacement is looked for; if the machine returns first, or its try is to be kept, it goes on there.`
      : `The machine has not been heard of for ${term} s. The job waits for its return, as it asked; this time is not billed.`,
    leaseId: lease.id,
    data: { silent_after_seconds: term, replace: job.replaceWhenLost, keep: job.keepOnReturn },
  });
}

/**
 * A machine speaks of a try that is silent, or that has just run out unnoticed: it is kept or not, by what the
 * job asked for and by what has happened meanwhile. Afterwards the lease is active, or over.
 */
export async function reviveLease(deps: LeaseDeps, claim: LeaseClaim): Promise<void> {
  const known = await findLease(deps.db, claim.leaseId, claim.providerId);
  if (known?.fence !== claim.fence) return;
  if (known.state !== 'silent' && known.state !== 'active') return;
  await deps.db.transaction(async (tx) => {
    const job = await lockJob(tx, known.jobId);
    const lease = await lockLease(tx, known.id);
    if (!job || !lease) return;
    if (lease.state === 'silent') {
      await returnSilent(tx, deps.settings, job, lease);
      return;
    }
    // Nobody has looked since it ran out. A job that bears silence takes it for one that ends now.
    if (lease.state !== 'active' || !mayReturn(job) || !(await isLeaseDue(tx, lease.id))) return;
    await loseOrSilence(tx, deps.settings, job, lease);
    const jobNow = await lockJob(tx, job.id);
    const leaseNow = await lockLease(tx, lease.id);
    if (jobNow && leaseNow?.state === 'silent') await returnSilent(tx, deps.settings, jobNow, leaseNow);
  });
}

async function returnSilent(tx: Tx, settings: LeaseSettings, job: JobRow, lease: LeaseRow): Promise<void> {
  const rival = job.leaseId === null || job.leaseId === lease.id ? null : await lockLease(tx, job.leaseId);
  const hasJob = job.leaseId !== null || job.state === 'queued';
  const now = await databaseNow(tx);
  if (!hasJob || (rival && !winsOver(rival, { job, lease, now }))) {
    await endLease(tx, settings, { job, lease, to: 'lost', reason: 'superseded' });
    return;
  }
  if (!(await hasRoomAgain(tx, lease))) {
    const detail = 'The machine returned, but what the job had there had been given away.';
    await endLease(tx, settings, { job, lease, to: 'lost', reason: 'provider-lost', detail });
    return;
  }
  if (job.leaseId !== lease.id) {
    const taken = await reattachJob(tx, job.id, { from: job.leaseId, to: lease.id, state: stateWith(lease) });
    invariant(taken, `${job.id} was locked and could not be given back to ${lease.id}`);
  }
  if (rival) {
    const to = rival.state === 'offered' ? 'withdrawn' : 'lost';
    // The job is with the other try already, so this end decides nothing about it.
    await endLease(tx, settings, {
      job: { ...job, leaseId: lease.id },
      lease: rival,
      to,
      reason: 'superseded',
    });
    await notifyAll(tx, 'cf_provider', [rival.providerId]);
  }
  const returned = await returnLease(tx, lease.id, termSeconds(settings, job));
  invariant(returned, `${lease.id} was silent while it was locked`);
  await notifyAll(tx, 'cf_queue', [lease.providerId, job.id]);
  await appendJobEvent(tx, {
    jobId: job.id,
    type: 'returned',
    message: rival
      ? 'The machine is heard of again and its try goes on; the replacement is stopped and not billed.'
      : 'The machine is heard of again and its try goes on. The silence is not billed.',
    leaseId: lease.id,
    data: { silent_ms: lease.silentAt ? now.getTime() - lease.silentAt.getTime() : 0 },
  });
}

/** Whether the try that returns is kept before its replacement. One whose program is done is never given up. */
function winsOver(
  rival: LeaseRow,
  { job, lease, now }: { job: JobRow; lease: LeaseRow; now: Date },
): boolean {
  if (rival.state === 'offered') return true; // nothing has begun there
  if (rival.state !== 'active' || rival.exitedAt) return false;
  switch (job.keepOnReturn) {
    case 'replacement':
      return false;
    case 'original':
      return true;
    case 'longest-running': {
      const { timeLimitSeconds } = job;
      const ran = (one: LeaseRow) => meteredMs({ ...one, now, timeLimitSeconds });
      return ran(lease) >= ran(rival);
    }
  }
}

/** Whether the machine still has room for what the try holds there: a silent try reserves nothing. */
async function hasRoomAgain(tx: Tx, lease: LeaseRow): Promise<boolean> {
  const machine = await lockReturningProvider(tx, lease.providerId);
  if (!machine) return false;
  const used = await sumOpenLeases(tx, machine.id);
  return (
    used.cpuMilli + lease.cpuMilli <= machine.cpuMilli &&
    used.memoryMib + lease.memoryMib <= machine.memoryMib &&
    lease.gpuIds.every((id) => (used.gpuMilli.get(id) ?? 0) + lease.gpuMilli <= 1_000) &&
    (await arePresent(tx, machine.id, lease.gpuIds))
  );
}

function stateWith(lease: LeaseRow): HeldJobState {
  if (lease.exitedAt) return 'finishing';
  return lease.startedAt ? 'running' : 'preparing';
}
