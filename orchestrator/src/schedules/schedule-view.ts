import type { Db, Tx } from '@computefabric/db/client';
import type { Firing, ScheduleView } from '@computefabric/protocol/user-api/schedules';
import { invariant } from '@computefabric/runtime/invariant';
import { type FiringRow, lastFirings, type ScheduleRow } from './schedule.store.ts';

/** Schedules as their owner sees them, in the order given. */
export async function viewSchedules(db: Db | Tx, rows: readonly ScheduleRow[]): Promise<ScheduleView[]> {
  const last = await lastFirings(
    db,
    rows.map(({ id }) => id),
  );
  return rows.map((row) => {
    const firing = last.get(row.id);
    return {
      id: row.id,
      name: row.name,
      state: row.state,
      paused_because: row.pausedBecause,
      cron: row.cron,
      timezone: row.timezone,
      overlap: row.overlap,
      image: row.spec.image,
      next_at: row.nextAt?.toISOString() ?? null,
      failures: row.failures,
      last: firing ? viewFiring(firing) : null,
      created_at: row.createdAt.toISOString(),
    };
  });
}

export async function viewSchedule(db: Db | Tx, row: ScheduleRow): Promise<ScheduleView> {
  const [view] = await viewSchedules(db, [row]);
  invariant(view, 'a schedule has a view');
  return view;
}

export function viewFiring({ firing, jobName }: FiringRow): Firing {
  return {
    due_at: firing.dueAt.toISOString(),
    fired_at: firing.firedAt.toISOString(),
    state: firing.state,
    detail: firing.detail,
    job_id: firing.jobId,
    job_name: jobName,
  };
}
