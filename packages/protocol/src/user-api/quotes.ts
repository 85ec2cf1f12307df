import { z } from 'zod';
import { timestamp } from '../common.ts';
import { defineContract } from '../contract.ts';
import { providerId, quoteId } from '../ids.ts';
import { microsString } from '../money.ts';
import { protection } from '../protection.ts';
import { availability, providerState } from '../provider-state.ts';
import { jobSpec } from './job-spec.ts';

/** A machine as the market shows it. */
export const offer = z
  .object({
    provider_id: providerId,
    provider_name: z.string(),
    state: providerState,
    availability: availability.describe(
      "Only an open machine takes new work; one that its owner's rules keep back now is paused.",
    ),
    reliability: z.number().min(0).max(1).describe('Of its latest tries, the part brought to their end.'),
    gpu: z.string().nullable().describe('Model of its GPUs; null on a machine without.'),
    vram_mib: z.number().int().nullable(),
    gpus_total: z.number().int(),
    gpus_free: z.number().int(),
    simulated: z.boolean().describe('The GPUs are pretended, for trying the market out.'),
    cpus_total: z.number(),
    cpus_free: z.number(),
    memory_total_mib: z.number().int(),
    memory_free_mib: z.number().int(),
    protection,
    price_per_gpu_hour_micros: microsString,
    price_per_cpu_hour_micros: microsString,
  })
  .meta({ id: 'Offer' });
export type Offer = z.infer<typeof offer>;

/** Why a job has no machine. `filters` says, for each rule, how many machines fail it. */
export const waiting = z
  .object({
    position: z
      .number()
      .int()
      .describe('Place by priority and time of waiting, from 1; accounts that use little go before it.'),
    machines: z.number().int().describe('Machines looked at.'),
    summary: z.string().describe('One sentence for people.'),
    expected_start: timestamp
      .nullable()
      .describe(
        'Start at the latest, when no other job comes before it and nothing that runs ends early; null when that cannot be said.',
      ),
    filters: z.array(
      z.object({
        filter: z.string().describe('Such as gpus, vram, gpu-model, region, memory, price, online, busy.'),
        excluded: z.number().int().describe('Machines that fail this rule.'),
        sole: z.number().int().describe('Machines that fail this rule only.'),
        sentence: z.string(),
      }),
    ),
    suggestion: z
      .string()
      .nullable()
      .describe('The smallest change that would let it run, in words; null when only waiting helps.'),
    change: z
      .object({ field: z.string(), value: z.string().nullable() })
      .nullable()
      .describe('The same as a field of the job file and what to write there; null is to leave it out.'),
  })
  .meta({ id: 'Waiting' });
export type Waiting = z.infer<typeof waiting>;

/** What to expect of a job, as ranges. */
export const estimate = z
  .object({
    cost_low_micros: microsString,
    cost_high_micros: microsString.describe('Never more than the hold.'),
    run_low_seconds: z.number().int().min(0),
    run_high_seconds: z.number().int().min(0).describe('Never more than the time limit.'),
    wait_low_seconds: z.number().int().min(0).nullable(),
    wait_high_seconds: z.number().int().min(0).nullable().describe('Null: it cannot be said.'),
    finish_earliest: timestamp.nullable(),
    finish_latest: timestamp.nullable(),
    past_runs: z
      .number()
      .int()
      .describe(
        'Your ended runs of the same image and command that it is made from; 0: from the limits alone.',
      ),
  })
  .meta({ id: 'Estimate' });
export type Estimate = z.infer<typeof estimate>;

/** What a job would meet if it were submitted now. */
export const quote = z
  .object({
    offers: z
      .array(z.object({ ...offer.shape, price_per_hour_micros: microsString.describe('For this job.') }))
      .describe('Machines that could take it now, best first.'),
    max_price_per_hour_micros: microsString.describe('Price limit in force, per GPU-hour or core-hour.'),
    hold_micros: microsString.describe('The most it may cost; reserved at submit.'),
    time_limit_seconds: z.number().int(),
    balance_micros: microsString,
    affordable: z.boolean(),
    play_money: z.boolean(),
    waiting: waiting.nullable().describe('Why it would wait; null when a machine is free.'),
    id: quoteId
      .nullable()
      .default(null)
      .describe(
        'Submit the job with it within an hour, and its receipt shows the estimate beside what it came to.',
      ),
    estimate: estimate.nullable().default(null),
  })
  .meta({ id: 'Quote' });
export type Quote = z.infer<typeof quote>;

export const createQuote = defineContract({
  id: 'createQuote',
  method: 'POST',
  path: '/v1/quotes',
  summary: 'Plan and price of a job, without submitting it',
  audience: 'user',
  body: jobSpec,
  reply: quote,
  status: 200,
  errors: [],
});

export const listOffers = defineContract({
  id: 'listOffers',
  method: 'GET',
  path: '/v1/offers',
  summary: 'Machines on the market',
  audience: 'user',
  query: z.strictObject({
    gpus: z.coerce.number().int().min(0).max(8).optional().describe('At least this many free GPUs.'),
    gpu_model: z.string().max(64).optional(),
    min_vram_mib: z.coerce.number().int().min(0).optional(),
  }),
  reply: z.object({ items: z.array(offer) }),
  status: 200,
  errors: [],
});
