import { z } from 'zod';
import { displayName } from '../common.ts';
import { costLimitAction } from '../cost-limit.ts';
import { limits } from '../limits.ts';
import { positiveMicrosString } from '../money.ts';
import { jobNetwork } from '../network.ts';
import { jobClass } from '../job-class.ts';
import { requirements } from './requirements.ts';
import { checkpoint, dependency, disconnect, retries } from './run-terms.ts';

const image = z
  .string()
  .min(1, 'must not be empty')
  .max(limits.imageChars)
  // The reference grammar of the distribution project, in the loose form that tells names from flags and paths.
  .regex(
    /^[a-zA-Z0-9](?:[a-zA-Z0-9._:/-]*[a-zA-Z0-9])?(?:@sha256:[a-f0-9]{64})?$/,
    'must be an image reference such as pytorch/pytorch:latest',
  );

const noNul = (text: string) => !text.includes('\u0000');

/** A string runs in a shell (`/bin/sh -c`); a list is the exact argument vector, given to the image's entrypoint. */
const command = z.union([
  z.string().min(1, 'must not be empty').max(limits.commandChars).refine(noNul, 'must not contain NUL'),
  z
    .array(z.string().max(limits.commandChars).refine(noNul, 'must not contain NUL'))
    .min(1, 'must not be empty')
    .max(limits.commandArgs)
    .refine(
      (args) => args.reduce((sum, arg) => sum + arg.length, 0) <= limits.commandChars,
      `must be at most ${limits.commandChars} characters together`,
    ),
]);

const env = z
  .record(
    z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be a variable name such as MODEL_PATH'),
    z.string().max(limits.envValueChars).refine(noNul, 'must not contain NUL'),
  )
  .refine(
    (map) => Object.keys(map).length <= limits.envEntries,
    `must have at most ${limits.envEntries} entries`,
  )
  .refine(
    (map) => !Object.keys(map).some((key) => /^(COMPUTEFABRIC_|NVIDIA_|LD_)/.test(key)),
    'must not set COMPUTEFABRIC_*, NVIDIA_* or LD_* variables: the machine sets those',
  );

/** A job as a renter writes it. Unknown fields are refused, so that a typing mistake is never ignored. */
export const jobSpec = z
  .strictObject({
    name: displayName
      .regex(/^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/, 'must be lower-case letters, digits and dashes')
      .optional()
      .describe('Unique in your account; given by the server when absent.'),
    image,
    command: command.nullable().default(null).describe("null runs the image's own command."),
    env: env.default({}),
    requirements: requirements.prefault({}),
    network: jobNetwork.prefault({}).describe('What the program may reach.'),
    time_limit_seconds: z
      .number()
      .int()
      .min(limits.timeLimitSeconds.min)
      .max(limits.timeLimitSeconds.max)
      .default(limits.timeLimitSeconds.default)
      .describe('A try of the program is stopped after running this long.'),
    queue_timeout_seconds: z
      .number()
      .int()
      .min(limits.queueTimeoutSeconds.min)
      .max(limits.queueTimeoutSeconds.max)
      .nullable()
      .default(null)
      .describe('The job expires when it has waited this long for a machine; null waits for ever.'),
    max_price_per_hour_micros: positiveMicrosString
      .nullable()
      .default(null)
      .describe('Highest price per GPU-hour (per core-hour for CPU jobs); null is the market default.'),
    max_cost_micros: positiveMicrosString
      .refine((micros) => micros !== '0', 'must be more than 0')
      .nullable()
      .default(null)
      .describe(
        'The job is stopped before it costs more; only this much is reserved. null is no limit of its own.',
      ),
    on_limit: costLimitAction
      .default('checkpoint')
      .describe(
        'checkpoint: stopped with its grace time and state saved inside max_cost; stop: killed at it.',
      ),
    class: jobClass
      .default('on-demand')
      .describe('spot is cheaper and may have to give way, after a notice.'),
    priority: z
      .number()
      .int()
      .min(0)
      .max(100)
      .default(50)
      .describe('Among your own jobs the higher one goes first; waiting raises it.'),
    retries: retries.prefault({}),
    disconnect: disconnect.prefault({}),
    checkpoint: checkpoint.nullable().default(null),
    stop_grace_seconds: z
      .number()
      .int()
      .min(0)
      .max(limits.stopGraceSeconds.max)
      .default(limits.stopGraceSeconds.default)
      .describe('Between the request to stop (SIGTERM) and the kill.'),
    after: z
      .array(dependency)
      .max(limits.dependenciesPerJob)
      .default([])
      .describe('Jobs that must have ended first.'),
  })
  .meta({ id: 'JobSpec' });
export type JobSpec = z.output<typeof jobSpec>;
/** A job spec before defaults are filled in. */
export type JobSpecInput = z.input<typeof jobSpec>;
