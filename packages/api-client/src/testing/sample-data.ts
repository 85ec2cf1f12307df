import { requirements } from '@computefabric/protocol/user-api/requirements';
import { disconnect, retries } from '@computefabric/protocol/user-api/run-terms';
import { newId } from '@computefabric/protocol/ids';
import type { Balance } from '@computefabric/protocol/user-api/account';
import {
  type JobEvent,
  type JobSummary,
  type JobView,
  jobSummary,
  type LeaseView,
} from '@computefabric/protocol/user-api/jobs';
import type { GroupView } from '@computefabric/protocol/user-api/groups';
import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import type { Machine } from '@computefabric/protocol/user-api/machines';
import type { Estimate, Offer, Quote, Waiting } from '@computefabric/protocol/user-api/quotes';
import type { ScheduleView } from '@computefabric/protocol/user-api/schedules';

/** Replies of the market with believable values; a test overrides what it is about. */
export const sampleTime = '2026-03-01T12:00:00.000Z';

export function sampleJob(overrides: Partial<JobView> = {}): JobView {
  const job: JobView = {
    id: newId('job'),
    name: 'mnist-7k2',
    state: 'queued',
    image: 'pytorch/pytorch:latest',
    command: 'python train.py',
    requirements: requirements.parse({ gpus: 1 }),
    time_limit_seconds: 3_600,
    created_at: sampleTime,
    started_at: null,
    finished_at: null,
    end_reason: null,
    end_message: null,
    exit_code: null,
    attempts: 0,
    cost_micros: '0',
    cost: {
      currency: 'USD',
      play_money: true,
      hold_micros: '500000',
      accrued_micros: '0',
      billed_ms: 0,
      rate_per_hour_micros: null,
      billable: false,
      as_of: sampleTime,
      payment_state: 'pending',
    },
    env: {},
    queue_timeout_seconds: null,
    class: 'on-demand',
    priority: 50,
    retries: retries.parse({}),
    user_failures: 0,
    disconnect: disconnect.parse({}),
    checkpoint: null,
    stop_grace_seconds: 10,
    network: { mode: 'internet', allow: [] },
    max_cost_micros: null,
    on_limit: 'checkpoint',
    max_price_per_hour_micros: '2000000',
    cancel_requested_at: null,
    leases: [],
    waiting: null,
    group: null,
    after: [],
    waits_for: [],
    schedule_id: null,
    resumes: null,
    resumed_by: null,
    resumable: false,
    dashboard_url: null,
  };
  return { ...job, ...overrides };
}

/** A job that has run and ended; `exitCode` 0 is a success. */
export function sampleEndedJob(exitCode = 0, overrides: Partial<JobView> = {}): JobView {
  const reason = exitCode === 0 ? 'exited-zero' : 'exited-nonzero';
  const base = sampleJob();
  return {
    ...base,
    state: exitCode === 0 ? 'succeeded' : 'failed',
    end_reason: reason,
    end_message: exitCode === 0 ? 'The program ended successfully.' : 'The program ended with an error.',
    exit_code: exitCode,
    attempts: 1,
    started_at: sampleTime,
    finished_at: '2026-03-01T12:00:10.000Z',
    cost_micros: '944',
    cost: { ...base.cost, accrued_micros: '944', billed_ms: 10_000, payment_state: 'succeeded' },
    leases: [sampleLease({ end_reason: reason, exit_code: exitCode })],
    ...overrides,
  };
}

export function sampleLease(overrides: Partial<LeaseView> = {}): LeaseView {
  return {
    id: newId('lease'),
    attempt: 1,
    state: 'released',
    task_state: 'reported',
    progress: null,
    provider: { id: newId('provider'), name: 'cobalt-otter' },
    gpus: [{ id: newId('gpu'), name: 'NVIDIA GeForce RTX 4090', simulated: true }],
    price_per_hour_micros: '340000',
    offered_at: sampleTime,
    accepted_at: sampleTime,
    started_at: sampleTime,
    exited_at: '2026-03-01T12:00:10.000Z',
    ended_at: '2026-03-01T12:00:10.000Z',
    end_reason: 'exited-zero',
    exit_code: 0,
    end_detail: null,
    image_digest: null,
    billed_ms: 10_000,
    cost_micros: '944',
    ...overrides,
  };
}

/** The part of a job that lists and the end of a stream carry. */
export function summaryOf(job: JobView): JobSummary {
  return jobSummary.parse(job);
}

export function sampleEvent(seq: number, overrides: Partial<JobEvent> = {}): JobEvent {
  return {
    seq,
    at: sampleTime,
    type: 'submitted',
    message: 'Submitted.',
    state: 'queued',
    lease_id: null,
    data: {},
    ...overrides,
  };
}

export function sampleLog(seq: number, data: string, overrides: Partial<LogEntry> = {}): LogEntry {
  return { attempt: 1, seq, stream: 'stdout', at: sampleTime, encoding: 'utf-8', data, ...overrides };
}

export function sampleOffer(overrides: Partial<Offer> = {}): Offer {
  return {
    provider_id: newId('provider'),
    provider_name: 'cobalt-otter',
    state: 'online',
    availability: 'open',
    reliability: 0.95,
    gpu: 'NVIDIA GeForce RTX 4090',
    vram_mib: 24_564,
    gpus_total: 2,
    gpus_free: 2,
    simulated: true,
    cpus_total: 16,
    cpus_free: 16,
    memory_total_mib: 65_536,
    memory_free_mib: 65_536,
    protection: {
      networks: ['none', 'allowlist', 'internet'],
      network_note: '',
      disk_limited: true,
      disk_note: '',
      sandbox: 'containers',
    },
    price_per_gpu_hour_micros: '340000',
    price_per_cpu_hour_micros: '20000',
    ...overrides,
  };
}

export function sampleEstimate(overrides: Partial<Estimate> = {}): Estimate {
  return {
    cost_low_micros: '9000',
    cost_high_micros: '12000',
    run_low_seconds: 90,
    run_high_seconds: 120,
    wait_low_seconds: 0,
    wait_high_seconds: 10,
    finish_earliest: '2026-01-02T03:05:34.000Z',
    finish_latest: '2026-01-02T03:06:14.000Z',
    past_runs: 6,
    ...overrides,
  };
}

export function sampleQuote(overrides: Partial<Quote> = {}): Quote {
  return {
    offers: [{ ...sampleOffer(), price_per_hour_micros: '340000' }],
    max_price_per_hour_micros: '2000000',
    hold_micros: '500000',
    time_limit_seconds: 3_600,
    balance_micros: '10000000',
    affordable: true,
    play_money: true,
    waiting: null,
    id: newId('quote'),
    estimate: sampleEstimate(),
    ...overrides,
  };
}

export function sampleWaiting(overrides: Partial<Waiting> = {}): Waiting {
  return {
    position: 1,
    machines: 2,
    summary: 'No machine on the market has a GPU with 80 GB.',
    filters: [
      { filter: 'vram', excluded: 2, sole: 2, sentence: '2 machines have less GPU memory than 76294 MiB.' },
    ],
    suggestion: 'Ask for at most 24564 MiB with --vram 24GiB.',
    expected_start: null,
    change: { field: 'vram', value: '24GB' },
    ...overrides,
  };
}

export function sampleBalance(overrides: Partial<Balance> = {}): Balance {
  return {
    currency: 'USD',
    play_money: true,
    available_micros: '9500000',
    held_micros: '500000',
    earned_micros: '0',
    ...overrides,
  };
}

export function sampleMachine(overrides: Partial<Machine> = {}): Machine {
  return {
    id: newId('provider'),
    name: 'cobalt-otter',
    state: 'online',
    availability: 'open',
    availability_reason: '',
    owner_notice: null,
    available_at: null,
    vacate_by: null,
    away_from: null,
    away_until: null,
    reliability: 0.95,
    agent_version: '0.1.0',
    last_seen_at: sampleTime,
    cpus: 16,
    memory_mib: 65_536,
    gpus: [
      {
        id: newId('gpu'),
        name: 'NVIDIA GeForce RTX 4090',
        memory_mib: 24_564,
        simulated: true,
        job_id: null,
      },
    ],
    protection: {
      networks: ['none', 'allowlist', 'internet'],
      network_note: '',
      disk_limited: true,
      disk_note: '',
      sandbox: 'containers',
    },
    price_per_gpu_hour_micros: '340000',
    price_per_cpu_hour_micros: '20000',
    running: [],
    earned_micros: '1200',
    created_at: sampleTime,
    ...overrides,
  };
}

/** An array of four, of which one runs and one has failed. */
export function sampleGroup(overrides: Partial<GroupView> = {}): GroupView {
  const counts = { blocked: 1, queued: 0, preparing: 0, running: 1, finishing: 0 };
  return {
    id: newId('group'),
    name: 'sweep',
    kind: 'array',
    state: 'active',
    size: 4,
    max_parallel: 2,
    counts: { ...counts, succeeded: 1, failed: 1, cancelled: 0, expired: 0 },
    created_at: sampleTime,
    cancel_requested_at: null,
    image: 'busybox',
    finished_at: null,
    cost: {
      currency: 'USD',
      play_money: true,
      hold_micros: '1360000',
      accrued_micros: '1888',
      billed_ms: 20_000,
      unsettled: 3,
      as_of: sampleTime,
    },
    waits_for: [],
    failures: [
      {
        index: 1,
        job_id: newId('job'),
        name: 'sweep-1',
        state: 'failed',
        end_reason: 'exited-nonzero',
        exit_code: 3,
      },
    ],
    dashboard_url: null,
    ...overrides,
  };
}

export function sampleSchedule(overrides: Partial<ScheduleView> = {}): ScheduleView {
  return {
    id: newId('schedule'),
    name: 'nightly',
    state: 'active',
    paused_because: null,
    cron: '30 3 * * *',
    timezone: 'Europe/Berlin',
    overlap: 'skip',
    image: 'busybox',
    next_at: '2026-03-02T02:30:00.000Z',
    failures: 0,
    last: null,
    created_at: sampleTime,
    ...overrides,
  };
}
