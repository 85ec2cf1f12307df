import { z } from 'zod';

/**
 * - `array` the same job many times, each with its own variables; members stand alone
 * - `gang`  one job on several machines at the same time: all of them or none
 */
export const groupKinds = ['array', 'gang'] as const;
export const groupKind = z.enum(groupKinds).meta({ id: 'GroupKind' });
export type GroupKind = z.infer<typeof groupKind>;

/** How a group stands; follows from its members. `failed`: all have ended and some did not succeed. */
export const groupStates = ['active', 'succeeded', 'failed', 'cancelled'] as const;
export const groupState = z.enum(groupStates).meta({ id: 'GroupState' });
export type GroupState = z.infer<typeof groupState>;
