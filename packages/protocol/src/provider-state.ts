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
