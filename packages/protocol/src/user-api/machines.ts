import { z } from 'zod';
import { pageOf, pageQuery, timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { endReason } from '../end-reason.ts';
import { gpuId, jobId, leaseId, providerId } from '../ids.ts';
import { leaseState } from '../lease-state.ts';
import { microsString } from '../money.ts';
import { ownerNotice } from '../owner-state.ts';
import { protection } from '../protection.ts';
import { limits } from '../limits.ts';
import { availability, providerState } from '../provider-state.ts';

/** A machine as its owner sees it. */
export const machine = z
  .object({
    id: providerId,
    name: z.string(),
    state: providerState.describe('What is so.'),
    availability: availability.describe('What its owner wants: only an open machine gets new work.'),
    availability_reason: z.string(),
    owner_notice: ownerNotice
      .nullable()
      .describe("What the owner's rules on the machine said last; null when its agent does not tell."),
    available_at: timestamp.nullable().describe('Open again by itself from then on.'),
    vacate_by: timestamp.nullable().describe('Draining: what still runs then is stopped and moved.'),
    away_from: timestamp.nullable().describe('A planned absence: what still runs then is moved.'),
    away_until: timestamp.nullable(),
    reliability: z
      .number()
      .min(0)
      .max(1)
      .describe('Of its latest tries, the part that it brought to their end.'),
    agent_version: z.string(),
    last_seen_at: timestamp.nullable(),
    cpus: z.number(),
    memory_mib: z.number().int(),
    gpus: z.array(
      z.object({
        id: gpuId,
        name: z.string(),
        memory_mib: z.number().int(),
        simulated: z.boolean(),
        job_id: jobId.nullable().describe('What it works on now.'),
      }),
    ),
    protection,
    price_per_gpu_hour_micros: microsString,
    price_per_cpu_hour_micros: microsString,
    running: z.array(z.object({ job_id: jobId, image: z.string(), started_at: timestamp.nullable() })),
    earned_micros: microsString,
    created_at: timestamp,
  })
  .meta({ id: 'Machine' });
export type Machine = z.infer<typeof machine>;

export const listMachines = defineContract({
  id: 'listMachines',
  method: 'GET',
  path: '/v1/providers',
  summary: 'Your machines',
  audience: 'user',
  reply: z.object({ items: z.array(machine) }),
  status: 200,
  errors: [],
});

export const getMachine = defineContract({
  id: 'getMachine',
  method: 'GET',
  path: '/v1/providers/{provider}',
  summary: 'One of your machines',
  audience: 'user',
  params: z.strictObject({ provider: providerId }),
  reply: machine,
  status: 200,
  errors: ['provider/not-found'],
});

/** A try of a machine, as the one who owns the machine sees it: nothing of it tells who rented it, or what ran. */
export const machineTry = z
  .object({
    lease_id: leaseId,
    job_id: jobId,
    state: leaseState,
    gpus: z.number().int().describe('Cards that it had; 0 for a job of the CPU.'),
    gpu_milli: z.number().int().describe('Thousandths of each of them.'),
    cpus: z.number(),
    memory_mib: z.number().int(),
    spot: z.boolean(),
    price_per_hour_micros: microsString.describe('Of the whole try, frozen when it was matched.'),
    offered_at: timestamp,
    started_at: timestamp.nullable(),
    ended_at: timestamp.nullable(),
    end_reason: endReason.nullable(),
    end_detail: z.string().nullable().describe('What the machine or the market said beside the reason.'),
    exit_code: z.number().int().nullable(),
    billed_ms: z.number().int().describe('Paid for.'),
    earned_micros: microsString,
    record: z.enum(['for', 'against', 'nothing']).describe("What it says in the machine's record."),
  })
  .meta({ id: 'MachineTry' });
export type MachineTry = z.infer<typeof machineTry>;

export const listMachineTries = defineContract({
  id: 'listMachineTries',
  method: 'GET',
  path: '/v1/providers/{provider}/tries',
  summary: 'What one of your machines was given, newest first, how it ended and what it earned',
  audience: 'user',
  params: z.strictObject({ provider: providerId }),
  query: z.strictObject(pageQuery),
  reply: pageOf(machineTry),
  status: 200,
  errors: ['provider/not-found'],
});

const reason = z
  .string()
  .max(200)
  .default('')
  .describe('Shown to you and to whoever asks why the machine takes no work.');
const machineParams = z.strictObject({ provider: providerId });
const machineCall = {
  audience: 'user',
  params: machineParams,
  reply: machine,
  status: 200,
  errors: ['provider/not-found'],
} as const;

/** Nothing new is placed on it; what runs goes on. Again: the latest wish counts. */
export const pauseMachine = defineContract({
  ...machineCall,
  id: 'pauseMachine',
  method: 'POST',
  path: '/v1/providers/{provider}/pause',
  summary: 'Give a machine no new work',
  body: z.strictObject({
    for_seconds: z
      .number()
      .int()
      .min(1)
      .max(limits.absenceSeconds)
      .nullable()
      .default(null)
      .describe('Open again by itself after this long; null waits for you.'),
    reason,
  }),
});

/** Nothing new is placed on it; what still runs when the time is over is asked to stop and moves, free. */
export const drainMachine = defineContract({
  ...machineCall,
  id: 'drainMachine',
  method: 'POST',
  path: '/v1/providers/{provider}/drain',
  summary: 'Empty a machine by a moment',
  body: z.strictObject({
    within_seconds: z
      .number()
      .int()
      .min(0)
      .max(limits.absenceSeconds)
      .default(3_600)
      .describe('Jobs may end by themselves for this long; 0 moves them now.'),
    reason,
  }),
});

/** Takes back a pause or a drain. What was asked to stop already is not. */
export const resumeMachine = defineContract({
  ...machineCall,
  id: 'resumeMachine',
  method: 'POST',
  path: '/v1/providers/{provider}/resume',
  summary: 'Give a machine work again',
  body: z.strictObject({}),
});

/** A planned absence. Only jobs that must end before it are placed; what still runs when it begins moves. */
export const planMaintenance = defineContract({
  ...machineCall,
  id: 'planMaintenance',
  method: 'PUT',
  path: '/v1/providers/{provider}/maintenance',
  summary: 'Plan an absence of a machine',
  body: z
    .strictObject({ from: timestamp, until: timestamp, reason })
    .refine(({ from, until }) => Date.parse(from) < Date.parse(until), {
      message: 'must end after it begins',
      path: ['until'],
    }),
  errors: ['provider/not-found', 'provider/absence-past'],
});

export const cancelMaintenance = defineContract({
  ...machineCall,
  id: 'cancelMaintenance',
  method: 'DELETE',
  path: '/v1/providers/{provider}/maintenance',
  summary: 'Take a planned absence back',
});

export const createJoinToken = defineContract({
  id: 'createJoinToken',
  method: 'POST',
  path: '/v1/join-tokens',
  summary: 'Make a token with which one machine can join, once',
  audience: 'user',
  body: z.strictObject({
    // Long enough to walk to the machine; a token that leaks is worth little.
    expires_in_seconds: z.number().int().min(60).max(86_400).default(900),
  }),
  reply: z.object({ token: z.string(), expires_at: timestamp }),
  status: 201,
  idempotent: true,
  errors: ['request/idempotency-key-missing', 'request/idempotency-key-reused'],
});
