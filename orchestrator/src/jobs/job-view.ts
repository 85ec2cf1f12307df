import type { Db, Tx } from '@computefabric/db/client';
import { endReasonRow } from '@computefabric/protocol/end-reason';
import type { PaymentState } from '@computefabric/protocol/payment-state';
import type { JobEvent, JobSummary, JobView, LeaseView } from '@computefabric/protocol/user-api/jobs';
import type { Requirements } from '@computefabric/protocol/user-api/requirements';
import { invariant } from '@computefabric/runtime/invariant';
import { databaseNow } from '../background/database-now.ts';
import { type Backoff, explain } from '../matching/explain.ts';
import { placeOf } from '../matching/place-in-line.store.ts';
import { loadGangSpoilers, loadMachines } from '../matching/market.store.ts';
import { leftSeconds } from '../metering/usage.ts';
import { fateOf, waitsFor } from './dependency-fate.ts';
import { explainGang } from './explain-gang.ts';
import { type GroupRow, groupsById } from './group-reads.store.ts';
import { costOf, leaseBill } from './job-cost.ts';
import { listDependencies, type TargetStanding } from './job-dependencies.store.ts';
import type { JobRow } from './job.store.ts';
import { findNeighbours } from './resumed-jobs.store.ts';
import {
  type JobEventRow,
  type LeaseOfJob,
  listGpusOf,
  listLeasesOf,
  paymentStatesOf,
} from './job-reads.store.ts';

/** What a view needs to know about this market. */
export interface ViewSettings {
  playMoney: boolean;
  /** Where the dashboard is; null when there is none. */
  dashboardUrl: string | null;
}

/** A job as its owner sees it, whole. */
export async function viewJob(db: Db | Tx, settings: ViewSettings, job: JobRow): Promise<JobView> {
  const rows = await listLeasesOf(db, [job.id]);
  return await view(db, settings, job, {
    rows,
    gpus: await listGpusOf(db, rows),
    paymentState: (await paymentStatesOf(db, [job.id])).get(job.id) ?? 'pending',
    now: await databaseNow(db),
    group: job.groupId === null ? null : ((await groupsById(db, [job.groupId])).get(job.groupId) ?? null),
    after: await listDependencies(db, job.groupId === null ? { jobId: job.id } : { groupId: job.groupId }),
  });
}

/** The same for a job that this transaction has submitted by itself: what it cannot have yet is not asked for. */
export async function viewNewJob(
  tx: Tx,
  settings: ViewSettings,
  job: JobRow,
  { dependent }: { dependent: boolean },
): Promise<JobView> {
  return await view(tx, settings, job, {
    rows: [],
    gpus: [],
    paymentState: 'pending',
    now: job.createdAt,
    group: null,
    after: dependent ? await listDependencies(tx, { jobId: job.id }) : [],
  });
}

/** What is known of a job beside its row. */
interface Surroundings {
  rows: readonly LeaseOfJob[];
  gpus: Awaited<ReturnType<typeof listGpusOf>>;
  paymentState: PaymentState;
  now: Date;
  group: GroupRow | null;
  after: readonly TargetStanding[];
}

async function view(
  db: Db | Tx,
  settings: ViewSettings,
  job: JobRow,
  { rows, gpus, paymentState, now, group, after }: Surroundings,
): Promise<JobView> {
  const gpuOf = new Map(gpus.map((gpu) => [gpu.id, gpu]));
  const isStopped = job.endReason === 'funds-exhausted';
  const near = isStopped || job.resumesId !== null ? await findNeighbours(db, job) : null;
  let waiting: JobView['waiting'] = null;
  if (job.state === 'queued') {
    const machines = await loadMachines(db);
    const place = await placeOf(db, job.id);
    const needs = { ...job, timeLimitSeconds: Math.max(1, Math.ceil(leftSeconds(job))) };
    waiting = explain(needs, machines, { ...place, now, backoff: backoffOf(job, rows, now) });
    if (group?.kind === 'gang') {
      const spoiledBy = await loadGangSpoilers(db, group.id);
      waiting = explainGang(waiting, needs, machines, { size: group.size, renterId: job.userId, spoiledBy });
    }
  }
  return {
    ...summary(job, group, rows, { now, paymentState, playMoney: settings.playMoney }),
    env: job.env,
    queue_timeout_seconds: job.queueTimeoutSeconds,
    class: job.class,
    priority: job.priority,
    retries: {
      max: job.maxRetries,
      on_exit_codes: job.retryOnExitCodes,
      never_on_exit_codes: job.neverRetryOnExitCodes,
    },
    user_failures: job.userFailures,
    disconnect: {
      lost_after_seconds: job.lostAfterSeconds,
      stop_after_seconds: job.stopAfterSeconds,
      replace: job.replaceWhenLost,
      keep: job.keepOnReturn,
    },
    checkpoint: job.checkpoint,
    network: { mode: job.networkMode, allow: job.networkAllow },
    stop_grace_seconds: job.stopGraceSeconds,
    max_cost_micros: job.maxCostMicros === null ? null : String(job.maxCostMicros),
    on_limit: job.onCostLimit,
    max_price_per_hour_micros: String(job.maxPricePerHourMicros),
    cancel_requested_at: job.cancelRequestedAt?.toISOString() ?? null,
    leases: rows.map((row) => leaseView(row, job, now, gpuOf)),
    waiting,
    after: after.map(viewDependency),
    waits_for: job.state === 'blocked' ? blockedBy(job, after, group) : [],
    schedule_id: job.scheduleId,
    resumes: near?.before ?? null,
    resumed_by: near?.after ?? null,
    resumable: isStopped && near?.after === null && group?.kind !== 'gang',
    dashboard_url: settings.dashboardUrl === null ? null : `${settings.dashboardUrl}/jobs/${job.id}`,
  };
}

function viewDependency(target: TargetStanding): JobView['after'][number] {
  const id = target.onJobId ?? target.onGroupId;
  invariant(id, 'a dependency is on a job or a group');
  const state = target.metAt === null ? fateOf(target) : 'met';
  return { id, name: target.name, when: target.condition, state };
}

/** Why a job is blocked. */
function blockedBy(job: JobRow, after: readonly TargetStanding[], group: GroupRow | null): string[] {
  if (job.budgetHeldAt)
    return ['A budget is used up: raise or remove it (cfab budget), or wait for a new month.'];
  const sentences = waitsFor(after);
  if (sentences.length > 0) return sentences;
  if (group === null || group.maxParallel === null)
    return ['What it comes after has ended: it is about to be queued.'];
  return [`At most ${group.maxParallel} of the ${group.size} members of ${group.name} run at the same time.`];
}

/** The rest that a job takes after a spoiled try; null when it takes none. */
function backoffOf(job: JobRow, rows: readonly LeaseOfJob[], now: Date): Backoff | null {
  const last = rows.at(-1)?.lease;
  if (!job.notBefore || job.notBefore <= now || !last?.endReason) return null;
  const { sentence } = endReasonRow(last.endReason);
  return {
    seconds: (job.notBefore.getTime() - now.getTime()) / 1_000,
    why: last.endDetail ? `${sentence} (${last.endDetail})` : sentence,
  };
}

/** Jobs as a list shows them, in the order given. */
export async function viewJobs(
  db: Db,
  settings: Pick<ViewSettings, 'playMoney'>,
  jobs: readonly JobRow[],
): Promise<JobSummary[]> {
  const ids = jobs.map((job) => job.id);
  const leases = await listLeasesOf(db, ids);
  const paymentStates = await paymentStatesOf(db, ids);
  const groups = await groupsById(
    db,
    jobs.map(({ groupId }) => groupId),
  );
  const now = await databaseNow(db);
  return jobs.map((job) =>
    summary(
      job,
      job.groupId === null ? null : (groups.get(job.groupId) ?? null),
      leases.filter((row) => row.lease.jobId === job.id),
      { now, paymentState: paymentStates.get(job.id) ?? 'pending', playMoney: settings.playMoney },
    ),
  );
}

function summary(
  job: JobRow,
  group: GroupRow | null,
  rows: readonly LeaseOfJob[],
  moment: Parameters<typeof costOf>[2],
): JobSummary {
  const leases = rows.map((row) => row.lease);
  const cost = costOf(job, leases, moment);
  return {
    id: job.id,
    name: job.name,
    state: job.state,
    image: job.image,
    command: job.command,
    requirements: viewRequirements(job),
    time_limit_seconds: job.timeLimitSeconds,
    created_at: job.createdAt.toISOString(),
    started_at: job.startedAt?.toISOString() ?? null,
    finished_at: job.finishedAt?.toISOString() ?? null,
    end_reason: job.endReason,
    end_message: endMessage(job),
    exit_code: job.exitCode,
    attempts: job.attempts,
    cost_micros: cost.accrued_micros,
    cost,
    group:
      group === null
        ? null
        : {
            id: group.id,
            name: group.name,
            kind: group.kind,
            size: group.size,
            index: job.groupIndex ?? 0,
            variables: job.groupVars ?? {},
          },
  };
}

function viewRequirements(job: JobRow): Requirements {
  return {
    gpus: job.gpus,
    gpu_models: job.gpuModels,
    gpu_milli: job.gpuMilli,
    min_vram_mib: job.minVramMib,
    max_vram_mib: job.maxVramMib,
    min_compute_capability: job.minComputeCapability,
    min_driver: job.minDriver,
    min_cuda: job.minCuda,
    cpus: job.cpuMilli / 1_000,
    memory_mib: job.memoryMib,
    disk_mib: job.diskMib,
    regions: job.regions,
    min_reliability: job.minReliabilityMilli / 1_000,
    min_tier: job.minTier,
  };
}

/** The reason's sentence, and what a machine said beside it. */
function endMessage(job: JobRow): string | null {
  if (job.endReason === null) return null;
  const { sentence } = endReasonRow(job.endReason);
  return job.endDetail ? `${sentence} (${job.endDetail})` : sentence;
}

function leaseView(
  { lease, providerName }: LeaseOfJob,
  job: JobRow,
  now: Date,
  gpuOf: ReadonlyMap<string, LeaseView['gpus'][number]>,
): LeaseView {
  const bill = leaseBill(lease, job, now);
  return {
    id: lease.id,
    attempt: lease.attempt,
    state: lease.state,
    task_state: lease.taskState,
    progress: lease.progress,
    provider: { id: lease.providerId, name: providerName },
    gpus: lease.gpuIds.map((id) => gpuOf.get(id)).filter((gpu) => gpu !== undefined),
    price_per_hour_micros: String(lease.pricePerHourMicros),
    offered_at: lease.offeredAt.toISOString(),
    accepted_at: lease.acceptedAt?.toISOString() ?? null,
    started_at: lease.startedAt?.toISOString() ?? null,
    exited_at: lease.exitedAt?.toISOString() ?? null,
    ended_at: lease.endedAt?.toISOString() ?? null,
    end_reason: lease.endReason,
    end_detail: lease.endDetail,
    exit_code: lease.exitCode,
    image_digest: lease.imageDigest,
    billed_ms: bill.billedMs,
    cost_micros: String(bill.costMicros),
  };
}

export function viewEvent(event: JobEventRow): JobEvent {
  return {
    seq: event.seq,
    at: event.at.toISOString(),
    type: event.type,
    message: event.message,
    state: event.state,
    lease_id: event.leaseId,
    data: event.data,
  };
}
