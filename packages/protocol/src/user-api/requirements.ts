import { z } from 'zod';
import { limits } from '../limits.ts';
import { trustTier } from '../trust-tier.ts';

const version = (example: string) =>
  z
    .string()
    .regex(/^\d{1,4}(?:\.\d{1,4}){0,3}$/, `must be a version such as ${example}`)
    .nullable()
    .default(null);

/** A region is the operator's or owner's own word for a place, such as `eu-west` or `lab-2`. */
export const regionName = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/, 'must be lower-case letters, digits and dashes');

/** What a machine must have. */
export const requirements = z
  .strictObject({
    gpus: z
      .number()
      .int()
      .min(0)
      .max(limits.gpusPerJob)
      .default(0)
      .describe('GPUs on one machine; 0 is a CPU job.'),
    gpu_models: z
      .array(z.string().trim().min(1).max(64))
      .max(16)
      .default([])
      .describe('Any of these models, such as "RTX 4090"; empty is any. Case and spaces do not matter.'),
    gpu_milli: z
      .number()
      .int()
      .min(1)
      .max(1_000)
      .default(1_000)
      .describe(
        'Share of the GPU in thousandths, where its owner allows sharing; less than 1000 needs gpus 1.',
      ),
    min_vram_mib: z.number().int().min(0).max(1_048_576).default(0).describe('Memory of each GPU, MiB.'),
    max_vram_mib: z
      .number()
      .int()
      .min(1)
      .max(1_048_576)
      .nullable()
      .default(null)
      .describe('At most this much memory of each GPU, MiB; null is no bound.'),
    min_compute_capability: version('8.0').describe('Lowest CUDA compute capability of each GPU.'),
    min_driver: version('535.104').describe('Lowest version of the GPU driver.'),
    min_cuda: version('12.2').describe('Lowest CUDA version that the driver supports.'),
    cpus: z.number().min(0.1).max(limits.cpusPerJob).default(1).describe('CPU cores; fractions are fine.'),
    memory_mib: z.number().int().min(16).max(4_194_304).default(1_024).describe('Main memory, MiB.'),
    disk_mib: z.number().int().min(0).max(16_777_216).default(0).describe('Free disk, MiB.'),
    regions: z.array(regionName).max(16).default([]).describe('Any of these regions; empty is any.'),
    min_reliability: z
      .number()
      .min(0)
      .max(1)
      .default(0)
      .describe('Least share of its tries that the machine brought to their end, 0 to 1.'),
    min_tier: trustTier.default('community').describe('How far the operator must vouch for the machine.'),
  })
  .refine((needs) => needs.gpu_milli === 1_000 || needs.gpus === 1, {
    path: ['gpu_milli'],
    message: 'must be 1000 unless gpus is 1: a share is of one GPU',
  })
  .refine((needs) => needs.max_vram_mib === null || needs.max_vram_mib >= needs.min_vram_mib, {
    path: ['max_vram_mib'],
    message: 'must not be below min_vram_mib',
  })
  .meta({ id: 'Requirements' });
export type Requirements = z.infer<typeof requirements>;
