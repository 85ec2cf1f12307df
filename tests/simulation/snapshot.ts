import type { EndReason } from '@computefabric/protocol/end-reason';
import type { GroupKind } from '@computefabric/protocol/group-kind';
import type { JobState } from '@computefabric/protocol/job-state';
import type { LeaseState } from '@computefabric/protocol/lease-state';
import type { CheckpointState } from '@computefabric/protocol/user-api/checkpoints';
import type { Availability } from '@computefabric/protocol/provider-state';
import type { PaymentState } from '@computefabric/protocol/payment-state';
import type pg from 'pg';

/** Everything that the invariants look at, read in one statement and so at one moment. Times in ms since 1970. */
export interface Snapshot {
  jobs: JobFacts[];
  leases: LeaseFacts[];
  payments: PaymentFacts[];
  machines: MachineFacts[];
  groups: GroupFacts[];
  dependencies: DependencyFacts[];
  checkpoints: CheckpointFacts[];
  cards: { id: string; provider: string; present: boolean }[];
  /** Per account kind: what is in it, micros. */
  balances: Record<string, number>;
  /** `ended` events per job. */
  ends: Record<string, number>;
  /** Money that ever left a job's hold, by transfer kind and job. */
  moved: { job: string; kind: string; micros: number; count: number }[];
}

export interface JobFacts {
  id: string;
  state: JobState;
  lease: string | null;
  attempts: number;
  key: string | null;
  reason: EndReason | null;
  hold: number;
  notBefore: number | null;
  queuedAt: number;
  finishedAt: number | null;
  limitSeconds: number;
  lostAfterSeconds: number | null;
  queueTimeoutSeconds: number | null;
  maxRetries: number;
  neverRetryOn: number[];
  retryOn: number[] | null;
  group: string | null;
  /** What the next try begins with. */
  checkpoint: string | null;
}

export interface LeaseFacts {
  id: string;
  job: string;
  provider: string;
  state: LeaseState;
  fence: number;
  attempt: number;
  reason: EndReason | null;
  expiresAt: number | null;
  startedAt: number | null;
  exitedAt: number | null;
  endedAt: number | null;
  gpus: string[];
  gpuMilli: number;
  cpuMilli: number;
  memoryMib: number;
  billedMs: number;
  cost: number;
  exitCode: number | null;
  resumedFrom: string | null;
}

export interface PaymentFacts {
  job: string;
  state: PaymentState;
  hold: number;
  amount: number;
}

export interface MachineFacts {
  id: string;
  cpuMilli: number;
  memoryMib: number;
  availability: Availability;
}

export interface GroupFacts {
  id: string;
  kind: GroupKind;
  size: number;
  maxParallel: number | null;
}

/** Who waits, and for whom: a job or a group each. */
export interface DependencyFacts {
  who: string;
  on: string;
  condition: 'success' | 'any' | 'failure';
  met: boolean;
}

export interface CheckpointFacts {
  id: string;
  job: string;
  lease: string;
  state: CheckpointState;
  takenAt: number;
}

const ms = (column: string) => `(extract(epoch from ${column}) * 1000)::float8`;

const text = `select json_build_object(
  'jobs', (select coalesce(json_agg(r order by r.id), '[]') from (select id, state, lease_id as lease, attempts,
      (env->>'SIM_KEY') || coalesce('/' || group_index, '') as key, end_reason as reason, hold_micros as hold, ${ms('not_before')} as "notBefore",
      ${ms('queued_at')} as "queuedAt", ${ms('finished_at')} as "finishedAt", time_limit_seconds as "limitSeconds",
      lost_after_seconds as "lostAfterSeconds", max_retries as "maxRetries",
      queue_timeout_seconds as "queueTimeoutSeconds",
      never_retry_on_exit_codes as "neverRetryOn", retry_on_exit_codes as "retryOn", group_id as "group",
      checkpoint_id as checkpoint from jobs) r),
  'leases', (select coalesce(json_agg(r order by r.fence), '[]') from (select id, job_id as job,
      provider_id as provider, state, fence, attempt, end_reason as reason, ${ms('expires_at')} as "expiresAt",
      ${ms('started_at')} as "startedAt", ${ms('exited_at')} as "exitedAt", ${ms('ended_at')} as "endedAt",
      gpu_ids as gpus, gpu_milli as "gpuMilli", cpu_milli as "cpuMilli", memory_mib as "memoryMib",
      billed_ms as "billedMs", cost_micros as cost, exit_code as "exitCode",
      resumed_from as "resumedFrom" from leases) r),
  'payments', (select coalesce(json_agg(r order by r.job), '[]') from (select job_id as job, state,
      hold_micros as hold, amount_micros as amount from payments) r),
  'machines', (select coalesce(json_agg(r), '[]') from (select id, cpu_milli as "cpuMilli",
      memory_mib as "memoryMib", availability from providers) r),
  'groups', (select coalesce(json_agg(r), '[]') from (select id, kind, size, max_parallel as "maxParallel"
      from job_groups) r),
  'dependencies', (select coalesce(json_agg(r), '[]') from (select coalesce(job_id, group_id) as who,
      coalesce(on_job_id, on_group_id) as on, condition, met_at is not null as met from job_dependencies) r),
  'checkpoints', (select coalesce(json_agg(r), '[]') from (select id, job_id as job, lease_id as lease, state,
      ${ms('taken_at')} as "takenAt" from checkpoints) r),
  'cards', (select coalesce(json_agg(r), '[]') from (select id, provider_id as provider, present from gpus) r),
  'balances', (select coalesce(json_object_agg(kind, micros), '{}') from (select kind,
      sum(credits_micros - debits_micros) as micros from ledger_accounts group by kind) r),
  'ends', (select coalesce(json_object_agg(job_id, n), '{}') from (select job_id, count(*) as n from job_events
      where type = 'ended' group by job_id) r),
  'moved', (select coalesce(json_agg(r), '[]') from (select job_id as job, kind, sum(amount_micros) as micros,
      count(*) as count from ledger_transfers where job_id is not null group by 1, 2) r)
) as facts`;

export async function readSnapshot(client: pg.Client): Promise<Snapshot> {
  const { rows } = await client.query<{ facts: Snapshot }>({ name: 'simulation-snapshot', text });
  const [row] = rows;
  if (!row) throw new Error('the database gave no facts');
  return row.facts;
}
