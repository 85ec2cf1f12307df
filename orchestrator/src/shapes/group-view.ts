import type { Db, Tx } from '@computefabric/db/client';
import type { GroupState } from '@computefabric/protocol/group-kind';
import { activeJobStates } from '@computefabric/protocol/job-state';
import { CURRENCY } from '@computefabric/protocol/money';
import type { GroupSummary, GroupView } from '@computefabric/protocol/user-api/groups';
import { invariant } from '@computefabric/runtime/invariant';
import { databaseNow } from '../background/database-now.ts';
import { waitsFor } from '../jobs/dependency-fate.ts';
import type { GroupRow } from '../jobs/group-reads.store.ts';
import { leaseBill } from '../jobs/job-cost.ts';
import { listDependencies } from '../jobs/job-dependencies.store.ts';
import type { ViewSettings } from '../jobs/job-view.ts';
import { countStates, listFailures, listOpenLeases, type StateCounts, totalsOf } from './group.store.ts';

/** Failures that are shown; the rest are in the list of members. */
const shownFailures = 20;

/** A group as its owner sees it: progress, one bill, failures. */
export async function viewGroup(db: Db | Tx, settings: ViewSettings, group: GroupRow): Promise<GroupView> {
  const totals = await totalsOf(db, group.id);
  const open = await listOpenLeases(db, group.id);
  const now = await databaseNow(db);
  const running = open.map(({ lease, timeLimitSeconds }) => leaseBill(lease, { timeLimitSeconds }, now));
  const [summary] = await viewGroups(db, [group]);
  invariant(summary, 'a group has a summary');
  const failures = await listFailures(db, group.id, shownFailures);
  return {
    ...summary,
    image: totals.image,
    finished_at: summary.state === 'active' ? null : (totals.finishedAt?.toISOString() ?? null),
    cost: {
      currency: CURRENCY,
      play_money: settings.playMoney,
      hold_micros: String(totals.holdMicros),
      accrued_micros: String(running.reduce((all, bill) => all + bill.costMicros, totals.costMicros)),
      billed_ms: running.reduce((all, bill) => all + bill.billedMs, totals.billedMs),
      unsettled: totals.unsettled,
      as_of: now.toISOString(),
    },
    waits_for: waitsFor(await listDependencies(db, { groupId: group.id })),
    failures: failures.map((member) => ({
      index: member.index ?? 0,
      job_id: member.id,
      name: member.name,
      state: member.state,
      end_reason: member.endReason,
      exit_code: member.exitCode,
    })),
    dashboard_url: settings.dashboardUrl === null ? null : `${settings.dashboardUrl}/groups/${group.id}`,
  };
}

/** Groups as a list shows them, in the order given. */
export async function viewGroups(db: Db | Tx, groups: readonly GroupRow[]): Promise<GroupSummary[]> {
  const counts = await countStates(
    db,
    groups.map(({ id }) => id),
  );
  return groups.map((group) => {
    const states = counts.get(group.id);
    invariant(states, 'states were counted for each group');
    return {
      id: group.id,
      name: group.name,
      kind: group.kind,
      state: stateOf(states),
      size: group.size,
      max_parallel: group.maxParallel,
      counts: states,
      created_at: group.createdAt.toISOString(),
      cancel_requested_at: group.cancelRequestedAt?.toISOString() ?? null,
    };
  });
}

/** How a group stands: `cancelled` when what did not succeed was cancelled. */
export function stateOf(counts: StateCounts): GroupState {
  if (activeJobStates.some((state) => counts[state] > 0)) return 'active';
  if (counts.failed + counts.expired > 0) return 'failed';
  return counts.cancelled > 0 ? 'cancelled' : 'succeeded';
}
