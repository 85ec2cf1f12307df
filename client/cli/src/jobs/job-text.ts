import { endReasonRow } from '@computefabric/protocol/end-reason';
import type { JobSummary, JobView, LeaseView } from '@computefabric/protocol/user-api/jobs';
import type { Cli } from '../cli.ts';
import { waitingLines } from '../commands/explain.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';
import type { Output } from '../terminal/terminal.ts';
import { formatDuration, formatSeconds } from '@computefabric/protocol/grammar/durations';
import { billingLabel, billText, money } from './cost.ts';
import { isFinal } from './outcome.ts';
import { gpusText, requirementsText, shortGpu } from './requirements-text.ts';
import { stateWord } from './summary.ts';
import { waitReason } from './wait-report.ts';

/** Jobs as a list. */
export function jobsTable(out: Output, jobs: readonly JobSummary[]): string[] {
  const columns = [
    { title: 'JOB' },
    { title: 'STATE' },
    { title: 'ASKS FOR' },
    { title: 'RAN', align: 'right' as const },
    { title: 'COST', align: 'right' as const },
    { title: 'CAP', align: 'right' as const },
    { title: 'EXIT', align: 'right' as const },
    { title: 'SUBMITTED' },
  ];
  const rows = jobs.map((job) => [
    plainText(job.name),
    stateWord(out.style, job.state),
    gpusText(job.requirements),
    ranText(job),
    money(job.cost.accrued_micros),
    money(job.cost.hold_micros),
    job.exit_code === null ? '–' : `${job.exit_code}`,
    // Both by the server's clock: ours may be wrong.
    `${formatDuration(Date.parse(job.cost.as_of) - Date.parse(job.created_at))} ago`,
  ]);
  return table(columns, rows);
}

/**
 * One job: what it is, what it does, why it waits, what it cost, and each try.
 *
 * @param saved the newest state that is kept of it; null when it keeps none
 */
export function jobLines(cli: Cli, job: JobView, saved: string | null = null): string[] {
  const { style } = cli.terminal.out;
  const ended = isFinal(job.state);
  const pairs: [string, string][] = [
    ['state', `${stateWord(style, job.state)}   ${ended ? endText(job) : billingLabel(job.cost)}`.trimEnd()],
    ['image', plainText(job.image)],
    ['command', commandText(job.command)],
    [
      'asks for',
      `${requirementsText(job.requirements)} · at most ${money(job.max_price_per_hour_micros)} per ${job.requirements.gpus > 0 ? 'GPU' : 'core'}-hour`,
    ],
    ['limits', `runs ${formatSeconds(job.time_limit_seconds)} at most, ${queueText(job)}`],
    ['submitted', job.created_at],
  ];
  if (job.group) pairs.push(['member of', memberText(job.group)]);
  for (const { name, when, state } of job.after)
    pairs.push(['after', `${plainText(name)}, ${when}: ${state}`]);
  for (const sentence of job.waits_for) pairs.push(['waits for', plainText(sentence)]);
  if (job.started_at) pairs.push(['started', `${job.started_at}, ran ${ranText(job)}`]);
  if (saved !== null) pairs.push(['saved state', saved]);
  if (job.finished_at) pairs.push(['finished', job.finished_at]);
  if (job.state === 'preparing') pairs.push(['now', waitReason(job)]);
  if (job.cancel_requested_at && !ended) pairs.push(['cancelling', `since ${job.cancel_requested_at}`]);
  pairs.push(['cost', costText(job)]);
  if (job.dashboard_url) pairs.push(['in browser', plainText(job.dashboard_url)]);
  return [
    `${style.bold(plainText(job.name))}   ${style.dim(job.id)}`,
    ...facts(pairs),
    ...(job.waiting ? ['', 'Waiting for a machine', ...waitingLines(job.waiting)] : []),
    ...(job.leases.length > 0 ? ['', ...leasesTable(job.leases).map((line) => `  ${line}`)] : []),
  ];
}

function memberText({ name, kind, index, size, variables }: NonNullable<JobView['group']>): string {
  const place = kind === 'gang' ? `rank ${index} of ${size}` : `${index} of 0 to ${size - 1}`;
  const values = Object.entries(variables).map(([variable, value]) => `${variable}=${value}`);
  return plainText([`${name}, ${place}`, ...values].join('  '));
}

function leasesTable(leases: readonly LeaseView[]): string[] {
  const columns = [
    { title: 'TRY', align: 'right' as const },
    { title: 'MACHINE' },
    { title: 'GPUS' },
    { title: 'STATE' },
    { title: 'PRICE/H', align: 'right' as const },
    { title: 'BILLED', align: 'right' as const },
    { title: 'COST', align: 'right' as const },
    { title: 'END' },
  ];
  const rows = leases.map((lease) => [
    `${lease.attempt}`,
    plainText(lease.provider.name),
    lease.gpus
      .map(({ name, simulated }) => `${shortGpu(name)}${simulated ? ' (simulated)' : ''}`)
      .join(', ') || 'none',
    lease.state,
    money(lease.price_per_hour_micros),
    `${(lease.billed_ms / 1_000).toFixed(1)} s`,
    money(lease.cost_micros),
    lease.end_reason
      ? `${lease.end_reason}${lease.exit_code === null ? '' : `, exit ${lease.exit_code}`}`
      : '–',
  ]);
  return table(columns, rows);
}

function endText({ end_message, end_reason, exit_code }: JobSummary): string {
  const sentence = end_message ?? (end_reason ? endReasonRow(end_reason).sentence : '');
  return `${plainText(sentence)}${exit_code === null ? '' : ` Exit code ${exit_code}.`}`;
}

function commandText(command: JobView['command']): string {
  if (command === null) return "the image's own";
  return plainText(typeof command === 'string' ? command : JSON.stringify(command));
}

function queueText(job: JobView): string {
  if (job.queue_timeout_seconds === null) return 'waits for a machine as long as it takes';
  return `waits ${formatSeconds(job.queue_timeout_seconds)} for a machine`;
}

function costText(job: JobView): string {
  if (isFinal(job.state)) {
    const settled = job.cost.payment_state === 'pending' ? ', not settled yet' : '';
    return `${billText(job)}${settled}`;
  }
  const play = job.cost.play_money ? ' (play money)' : '';
  return `${money(job.cost.accrued_micros)} so far, at most ${money(job.cost.hold_micros)}${play}`;
}

/** Metered time of running. */
function ranText(job: JobSummary): string {
  return job.cost.billed_ms === 0 ? '–' : formatDuration(job.cost.billed_ms);
}
