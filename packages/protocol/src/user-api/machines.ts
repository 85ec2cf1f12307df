import { z } from 'zod';
import { timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { gpuId, jobId, providerId } from '../ids.ts';
import { microsString } from '../money.ts';
import { providerState } from '../provider-state.ts';

/** A machine as its owner sees it. */
export const machine = z
  .object({
    id: providerId,
    name: z.string(),
    state: providerState,
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

export const createJoinToken = defineContract({
  id: 'createJoinToken',
  method: 'POST',
  path: '/v1/join-tokens',
  summary: 'Make a token with which one machine can join, once',
  audience: 'user',
  body: z.strictObject({
    expires_in_seconds: z.number().int().min(60).max(86_400).default(3_600),
  }),
  reply: z.object({ token: z.string(), expires_at: timestamp }),
  status: 201,
  idempotent: true,
  errors: ['request/idempotency-key-missing', 'request/idempotency-key-reused'],
});
