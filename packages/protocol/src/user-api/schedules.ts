import { z } from 'zod';
import { pageOf, pageQuery, timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { jobId, scheduleId } from '../ids.ts';
import { firingState, overlapRule, scheduleState } from '../schedule-state.ts';
import { jobSpec } from './job-spec.ts';

/** An id, or a schedule's name in your account. */
export const scheduleRef = z.string().min(1).max(128).describe('Schedule id or name.');

const scheduleName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/, 'must be up to 40 lower-case letters, digits and dashes');

export const scheduleSpec = z
  .strictObject({
    name: scheduleName.describe('Unique among your schedules; the names of its jobs begin with it.'),
    cron: z
      .string()
      .max(128)
      .regex(/^\S+(?:[ \t]+\S+){4}$/, 'must have five fields: minute, hour, day of month, month, day of week')
      .describe('Five fields, such as "30 3 * * 1-5".'),
    timezone: z.string().max(64).default('UTC').describe('Such as Europe/Berlin.'),
    spec: jobSpec.describe('What is submitted each time; its name is ignored.'),
    overlap: overlapRule
      .default('skip')
      .describe('skip leaves a time out while the job of the time before has not ended.'),
  })
  .meta({ id: 'ScheduleSpec' });
export type ScheduleSpec = z.output<typeof scheduleSpec>;
/** A schedule spec before defaults are filled in. */
export type ScheduleSpecInput = z.input<typeof scheduleSpec>;

/** One time at which a schedule fired. */
export const firing = z
  .object({
    due_at: timestamp.describe('The time that the cron line names.'),
    fired_at: timestamp,
    state: firingState,
    detail: z.string().nullable().describe('Why no job was submitted.'),
    job_id: jobId.nullable(),
    job_name: z.string().nullable(),
  })
  .meta({ id: 'Firing' });
export type Firing = z.infer<typeof firing>;

export const scheduleView = z
  .object({
    id: scheduleId,
    name: z.string(),
    state: scheduleState,
    paused_because: z.string().nullable(),
    cron: z.string(),
    timezone: z.string(),
    overlap: overlapRule,
    image: z.string(),
    next_at: timestamp.nullable().describe('Next time; null while paused.'),
    failures: z.number().int().describe('Times in a row that no job could be submitted.'),
    last: firing.nullable(),
    created_at: timestamp,
  })
  .meta({ id: 'Schedule' });
export type ScheduleView = z.infer<typeof scheduleView>;

export const createSchedule = defineContract({
  id: 'createSchedule',
  method: 'POST',
  path: '/v1/schedules',
  summary: 'Submit a job again and again, by a cron line',
  audience: 'user',
  body: scheduleSpec,
  reply: scheduleView,
  status: 201,
  idempotent: true,
  errors: [
    'schedule/name-taken',
    'schedule/too-many',
    'request/idempotency-key-missing',
    'request/idempotency-key-reused',
  ],
});

export const listSchedules = defineContract({
  id: 'listSchedules',
  method: 'GET',
  path: '/v1/schedules',
  summary: 'Your schedules, newest first',
  audience: 'user',
  query: z.strictObject({ ...pageQuery }),
  reply: pageOf(scheduleView),
  status: 200,
  errors: [],
});

export const getSchedule = defineContract({
  id: 'getSchedule',
  method: 'GET',
  path: '/v1/schedules/{schedule}',
  summary: 'One schedule',
  audience: 'user',
  params: z.strictObject({ schedule: scheduleRef }),
  reply: scheduleView,
  status: 200,
  errors: ['schedule/not-found'],
});

export const changeSchedule = defineContract({
  id: 'changeSchedule',
  method: 'PATCH',
  path: '/v1/schedules/{schedule}',
  summary: 'Pause or resume a schedule',
  audience: 'user',
  params: z.strictObject({ schedule: scheduleRef }),
  body: z.strictObject({ state: scheduleState }),
  reply: scheduleView,
  status: 200,
  errors: ['schedule/not-found'],
});

export const deleteSchedule = defineContract({
  id: 'deleteSchedule',
  method: 'DELETE',
  path: '/v1/schedules/{schedule}',
  summary: 'Remove a schedule; its jobs stay',
  audience: 'user',
  params: z.strictObject({ schedule: scheduleRef }),
  status: 204,
  errors: ['schedule/not-found'],
});

export const listFirings = defineContract({
  id: 'listFirings',
  method: 'GET',
  path: '/v1/schedules/{schedule}/firings',
  summary: 'Times at which a schedule fired, newest first',
  audience: 'user',
  params: z.strictObject({ schedule: scheduleRef }),
  query: z.strictObject({ ...pageQuery }),
  reply: pageOf(firing),
  status: 200,
  errors: ['schedule/not-found'],
});
