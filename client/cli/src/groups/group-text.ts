import { formatDuration } from '@computefabric/protocol/grammar/durations';
import { jobStates } from '@computefabric/protocol/job-state';
import type { GroupSummary, GroupView } from '@computefabric/protocol/user-api/groups';
import type { Cli } from '../cli.ts';
import { money } from '../jobs/cost.ts';
import { stateWord } from '../jobs/summary.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';
import type { Style } from '../terminal/terminal.ts';

/** Characters of a bar of progress. */
const barWidth = 24;

/** Groups as a list. */
export function groupsTable(style: Style, groups: readonly GroupSummary[]): string[] {
  const columns = [
    { title: 'GROUP' },
    { title: 'STATE' },
    { title: 'PROGRESS' },
    { title: 'MEMBERS', align: 'right' as const },
    { title: 'NOW' },
  ];
  const rows = groups.map((group) => [
    plainText(group.name),
    groupWord(style, group.state),
    bar(style, group),
    `${endedOf(group)} of ${group.size}`,
    countsText(group, ['blocked', 'queued', 'preparing', 'running', 'finishing']),
  ]);
  return table(columns, rows);
}

/** One group: progress, cost, failures. */
export function groupLines(cli: Cli, group: GroupView): string[] {
  const { style } = cli.terminal.out;
  const shape =
    group.kind === 'gang'
      ? `one job on ${group.size} machines at the same time`
      : `array of ${group.size}${group.max_parallel === null ? '' : `, at most ${group.max_parallel} at a time`}`;
  const pairs: [string, string][] = [
    ['state', groupWord(style, group.state)],
    ['progress', `${bar(style, group)}  ${endedOf(group)} of ${group.size} ended`],
    ['members', countsText(group)],
    ['shape', shape],
    ['image', plainText(group.image)],
    ['submitted', group.created_at],
  ];
  if (group.finished_at) pairs.push(['finished', group.finished_at]);
  if (group.cancel_requested_at && group.state === 'active')
    pairs.push(['cancelling', `since ${group.cancel_requested_at}`]);
  for (const sentence of group.waits_for) pairs.push(['waits for', plainText(sentence)]);
  pairs.push(['cost', costText(group)]);
  if (group.dashboard_url) pairs.push(['in browser', plainText(group.dashboard_url)]);
  const failures = group.failures.map((member) => [
    `${group.name}/${member.index}`,
    stateWord(style, member.state),
    member.end_reason ?? '–',
    member.exit_code === null ? '–' : `${member.exit_code}`,
  ]);
  const columns = [
    { title: 'MEMBER' },
    { title: 'STATE' },
    { title: 'REASON' },
    { title: 'EXIT', align: 'right' as const },
  ];
  return [
    `${style.bold(plainText(group.name))}   ${style.dim(group.id)}`,
    ...facts(pairs),
    ...(failures.length === 0 ? [] : ['', ...table(columns, failures).map((line) => `  ${line}`)]),
  ];
}

/** `12 of 100 ended · 8 running · 80 blocked · 3 s`: a group in one line. */
export function progressLine(group: GroupView, elapsedMs: number): string {
  return `${progressText(group)} · ${formatDuration(elapsedMs)}`;
}

/** `12 of 100 ended · 8 running · 80 blocked` */
export function progressText(group: GroupSummary): string {
  const now = countsText(group, ['running', 'preparing', 'queued', 'blocked', 'failed']);
  return [`${endedOf(group)} of ${group.size} ended`, now].filter((part) => part !== '').join(' · ');
}

/** How many members are in each state that has some. */
function countsText(
  { counts }: GroupSummary,
  states: readonly (keyof GroupSummary['counts'])[] = jobStates,
): string {
  return states
    .filter((state) => counts[state] > 0)
    .map((state) => `${counts[state]} ${state}`)
    .join(' · ');
}

function endedOf({ counts }: GroupSummary): number {
  return counts.succeeded + counts.failed + counts.cancelled + counts.expired;
}

/** Ended without success, ended with it, under way, waiting; the numbers stand beside it. */
function bar(style: Style, { counts, size }: GroupSummary): string {
  const cells = (members: number) => Math.round((members / size) * barWidth);
  const failed = cells(counts.failed + counts.cancelled + counts.expired);
  const succeeded = Math.min(cells(counts.succeeded), barWidth - failed);
  const going = Math.min(
    cells(counts.preparing + counts.running + counts.finishing),
    barWidth - failed - succeeded,
  );
  const rest = barWidth - failed - succeeded - going;
  return [
    style.red('×'.repeat(failed)),
    style.green('█'.repeat(succeeded)),
    style.blue('▒'.repeat(going)),
    style.dim('░'.repeat(rest)),
  ].join('');
}

function costText({ cost, state }: GroupView): string {
  const play = cost.play_money ? ' (play money)' : '';
  const accrued = `${money(cost.accrued_micros)}${play}`;
  if (state === 'active') return `${accrued} so far, at most ${money(cost.hold_micros)} for all members`;
  return `${accrued}${cost.unsettled > 0 ? `, ${cost.unsettled} bills not settled yet` : ''}`;
}

function groupWord(style: Style, state: GroupSummary['state']): string {
  return state === 'active' ? style.blue('● active') : stateWord(style, state);
}
