import type { Db, Tx } from '@computefabric/db/client';
import { newId, type UserId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import type { ScheduleState } from '@computefabric/protocol/schedule-state';
import type { ScheduleSpec } from '@computefabric/protocol/user-api/schedules';
import { AppError } from '@computefabric/runtime/errors';
import { databaseNow } from '../background/database-now.ts';
import { notify } from '../background/signals.ts';
import { resolveDependencies } from '../jobs/resolve-dependencies.ts';
import { CronError, nextFiring } from './next-firing.ts';
import {
  countSchedulesOf,
  findScheduleOf,
  insertSchedule,
  pauseSchedule,
  removeSchedule,
  resumeSchedule,
  type ScheduleRow,
} from './schedule.store.ts';

/**
 * Makes a schedule, in the caller's transaction; it fires from its next time on.
 *
 * @throws AppError `request/invalid`, `schedule/name-taken`, `schedule/too-many`
 */
export async function createSchedule(tx: Tx, userId: UserId, body: ScheduleSpec): Promise<ScheduleRow> {
  const nextAt = firstTime(body.cron, body.timezone, await databaseNow(tx));
  await resolveDependencies(tx, userId, body.spec.after, 'spec.after'); // a wrong name is told now, not at night
  if ((await countSchedulesOf(tx, userId)) >= limits.schedulesPerUser)
    throw new AppError('schedule/too-many');
  const { name: _name, ...spec } = body.spec;
  const schedule = await insertSchedule(tx, {
    id: newId('schedule'),
    userId,
    name: body.name,
    cron: body.cron,
    timezone: body.timezone,
    overlap: body.overlap,
    spec,
    nextAt,
  });
  if (!schedule) {
    throw new AppError('schedule/name-taken', { fields: [{ path: 'name', message: 'is taken' }] });
  }
  await notify(tx, 'cf_schedule');
  return schedule;
}

/** Pauses or resumes a schedule; one that is so already stays as it is. Times of a pause are not made up for. */
export async function changeSchedule(
  db: Db,
  userId: UserId,
  ref: string,
  state: ScheduleState,
): Promise<ScheduleRow> {
  return await db.transaction(async (tx) => {
    const schedule = await requireSchedule(tx, userId, ref);
    switch (state) {
      case 'paused':
        await pauseSchedule(tx, schedule.id, 'You paused it.');
        break;
      case 'active':
        await resumeSchedule(
          tx,
          schedule.id,
          firstTime(schedule.cron, schedule.timezone, await databaseNow(tx)),
        );
        break;
    }
    await notify(tx, 'cf_schedule');
    return await requireSchedule(tx, userId, schedule.id);
  });
}

/** Removes a schedule; the jobs that it submitted stay. */
export async function deleteSchedule(db: Db, userId: UserId, ref: string): Promise<void> {
  await db.transaction(async (tx) => {
    const schedule = await requireSchedule(tx, userId, ref);
    if (!(await removeSchedule(tx, schedule.id))) throw new AppError('schedule/not-found');
  });
}

/** @throws AppError `schedule/not-found`, also for a schedule of somebody else. */
export async function requireSchedule(db: Db | Tx, userId: UserId, ref: string): Promise<ScheduleRow> {
  const schedule = await findScheduleOf(db, userId, ref);
  if (!schedule) throw new AppError('schedule/not-found');
  return schedule;
}

function firstTime(cron: string, timezone: string, now: Date): Date {
  if (!isTimezone(timezone)) throw invalid('timezone', 'must be a time zone such as Europe/Berlin');
  let first: Date | null;
  try {
    first = nextFiring(cron, timezone, now);
  } catch (thrown) {
    if (thrown instanceof CronError) throw invalid('cron', `cannot be read: ${thrown.message}`);
    throw thrown;
  }
  if (first === null) throw invalid('cron', 'names no time that ever comes');
  return first;
}

function isTimezone(timezone: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
    return true;
  } catch {
    return false; // that it throws is the answer
  }
}

function invalid(path: string, message: string): AppError {
  return new AppError('request/invalid', {
    message: `${path}: ${message}.`,
    fields: [{ path, message }],
  });
}
