import { z } from 'zod';
import { defineMachine } from './machine.ts';

const finals = ['succeeded', 'failed', 'cancelled', 'expired'] as const; // which one: end-reason.ts

/**
 * What the renter asked for, from submit to end. The words are the ones people see.
 *
 * - `blocked`   waits for other jobs (what it comes `after`, or room in its array) or for money in a budget; not billed
 * - `queued`    waits for a machine; not billed
 * - `preparing` a machine has it: offered, accepted, pulling the image; not billed
 * - `running`   the program runs; billed
 * - `finishing` the program was told to stop or has ended; results are being saved; not billed once it ended
 * - finals      nothing moves any more
 *
 * Beside these edges a try that had fallen silent, and whose machine is heard of again, takes its job back: from the
 * queue or from its replacement, into the one of `heldJobStates` that the try has reached.
 */
export const jobMachine = defineMachine({
  blocked: { unblock: 'queued', end: finals },
  queued: { assign: 'preparing', hold: 'blocked', end: finals },
  preparing: { start: 'running', stop: 'finishing', requeue: 'queued', end: finals },
  running: { finish: 'finishing', requeue: 'queued', end: finals },
  finishing: { requeue: 'queued', end: finals },
  succeeded: {},
  failed: {},
  cancelled: {},
  expired: {},
});

export const jobStates = ['blocked', 'queued', 'preparing', 'running', 'finishing', ...finals] as const;
export const jobState = z.enum(jobStates).meta({ id: 'JobState' });
export type JobState = z.infer<typeof jobState>;
/** A try has the job. */
export const heldJobStates = ['preparing', 'running', 'finishing'] as const satisfies readonly JobState[];
export type HeldJobState = (typeof heldJobStates)[number];
export type FinalJobState = (typeof finals)[number];
export const activeJobStates = jobStates.filter((state) => !jobMachine.isTerminal(state));
