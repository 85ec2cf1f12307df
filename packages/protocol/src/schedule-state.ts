import { z } from 'zod';

/**
 * - `active` fires at its times
 * - `paused` does not, because its owner or too many failures in a row stopped it
 */
export const scheduleStates = ['active', 'paused'] as const;
export const scheduleState = z.enum(scheduleStates).meta({ id: 'ScheduleState' });
export type ScheduleState = z.infer<typeof scheduleState>;

/** What happens when a time comes and the job of the time before has not ended. */
export const overlapRules = ['skip', 'allow'] as const;
export const overlapRule = z.enum(overlapRules);

/** What became of one firing. `failed`: the job could not be submitted, for want of funds for example. */
export const firingStates = ['submitted', 'skipped', 'failed'] as const;
export const firingState = z.enum(firingStates).meta({ id: 'FiringState' });
export type FiringState = z.infer<typeof firingState>;
