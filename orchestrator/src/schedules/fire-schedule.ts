import type { Db, Tx } from '@computefabric/db/client';
import type { JobId, ScheduleId } from '@computefabric/protocol/ids';
import type { FiringState } from '@computefabric/protocol/schedule-state';
import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { findUser } from '../accounts/user.store.ts';
import { databaseNow } from '../background/database-now.ts';
import { submitJob } from '../jobs/submit-job.ts';
import { nextFiring } from './next-firing.ts';
import {
  advanceSchedule,
  hasUnfinishedJob,
  insertFiring,
  lockDueSchedule,
  pauseSchedule,
  pruneFirings,
  type ScheduleRow,
} from './schedule.store.ts';

/** Times in a row that no job could be submitted after which a schedule is paused. */
export const mostFailures = 5;

/** Firings that are remembered of a schedule: a line for every minute would otherwise grow for ever. */
const keptFirings = 1_000;

/**
 * Fires a schedule whose time has come: the job, the row that says so and the schedule's next time, in one
 * transaction, so that each time fires once whoever tries and whatever crashes. Times that passed while nobody
 * was there to fire them are made up for by one firing, for the earliest of them.
 *
 * @returns false when there was nothing to do, because another worker did it.
 */
export async function fireSchedule(
  { db, defaultMaxPricePerHourMicros }: { db: Db; defaultMaxPricePerHourMicros: bigint },
  id: ScheduleId,
): Promise<boolean> {
  return await db.transaction(async (tx) => {
    const schedule = await lockDueSchedule(tx, id);
    if (!schedule?.nextAt) return false;
    const firedFor = schedule.nextAt;
    const { state, detail, jobId } = await fire(tx, schedule, firedFor, defaultMaxPricePerHourMicros);
    const isFirst = await insertFiring(tx, { scheduleId: id, dueAt: firedFor, state, detail, jobId });
    invariant(isFirst, `${id} fired for ${firedFor.toISOString()} before`);
    await pruneFirings(tx, id, keptFirings);
    const failures = state === 'failed' ? schedule.failures + 1 : 0;
    const nextAt = nextFiring(schedule.cron, schedule.timezone, await databaseNow(tx));
    if (nextAt === null) {
      await pauseSchedule(tx, id, 'Its cron line names no further time.');
      return true;
    }
    const advanced = await advanceSchedule(tx, id, { firedFor, nextAt, failures });
    invariant(advanced, `${id} was locked and due`);
    if (failures >= mostFailures) {
      await pauseSchedule(
        tx,
        id,
        `No job could be submitted ${failures} times in a row. ${detail ?? ''}`.trim(),
      );
    }
    return true;
  });
}

interface Outcome {
  state: FiringState;
  detail: string | null;
  jobId: JobId | null;
}

async function fire(tx: Tx, schedule: ScheduleRow, firedFor: Date, marketDefault: bigint): Promise<Outcome> {
  if (schedule.overlap === 'skip' && (await hasUnfinishedJob(tx, schedule.id))) {
    return { state: 'skipped', detail: 'The job of the time before has not ended.', jobId: null };
  }
  // Parsed again: what was stored before the market learned new fields gets their defaults.
  const parsed = jobSpec.safeParse({ ...schedule.spec, name: nameOf(schedule.name, firedFor) });
  if (!parsed.success) return { state: 'failed', detail: 'The job is no longer valid.', jobId: null };
  const user = await findUser(tx, schedule.userId);
  try {
    // A transaction of its own inside: a refusal takes back what the attempt had written, and only that.
    const job = await tx.transaction((inner) =>
      submitJob(inner, {
        userId: schedule.userId,
        spec: parsed.data,
        defaultMaxPricePerHourMicros: user.defaultMaxPricePerHourMicros ?? marketDefault,
        scheduleId: schedule.id,
      }),
    );
    return { state: 'submitted', detail: null, jobId: job.id };
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.status < 500)
      return { state: 'failed', detail: thrown.message, jobId: null };
    throw thrown;
  }
}

/** `nightly-20261123-1830`: the time by which a person finds the job again, in UTC. */
function nameOf(schedule: string, firedFor: Date): string {
  return `${schedule}-${firedFor.toISOString().slice(0, 16).replace(/[-:]/g, '').replace('T', '-')}`;
}
