import { z } from 'zod';
import { defineMachine } from './machine.ts';

/**
 * A machine that offers its GPUs.
 *
 * - `pending`   enrolled, has not said hello yet
 * - `online`    has a session and answers heartbeats; may get work
 * - `draining`  finishes what it has, gets nothing new
 * - `offline`   said goodbye or fell silent
 * - `suspended` kept out by the operator
 */
export const providerMachine = defineMachine({
  pending: { hello: 'online', suspend: 'suspended' },
  online: { drain: 'draining', leave: 'offline', suspend: 'suspended' },
  draining: { hello: 'online', leave: 'offline', suspend: 'suspended' },
  offline: { hello: 'online', suspend: 'suspended' },
  suspended: { restore: 'offline' },
});

export const providerStates = ['pending', 'online', 'draining', 'offline', 'suspended'] as const;
export const providerState = z.enum(providerStates).meta({ id: 'ProviderState' });
export type ProviderState = z.infer<typeof providerState>;

/**
 * What its owner or the operator wants of a machine. `paused` takes nothing new and keeps what it has;
 * `draining` also has a moment by which what it has must be gone.
 */
export const availabilities = ['open', 'paused', 'draining'] as const;
export const availability = z.enum(availabilities).meta({ id: 'Availability' });
export type Availability = z.infer<typeof availability>;
