import { z } from 'zod';
import { displayName } from '../../common.ts';
import { limits } from '../../limits.ts';
import { positiveMicrosString } from '../../money.ts';
import { protection } from '../../protection.ts';
import { regionName } from '../../user-api/requirements.ts';

/** A GPU as the agent saw it. */
export const gpuReport = z.strictObject({
  uuid: z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/),
  index: z.number().int().min(0).max(63),
  name: displayName,
  memory_mib: z.number().int().min(1).max(1_048_576),
  driver_version: z.string().max(64).nullable(),
  compute_capability: z.string().max(16).nullable(),
  simulated: z.boolean(),
});
export type GpuReport = z.infer<typeof gpuReport>;

/** What a machine has and what it costs. */
export const inventory = z.strictObject({
  hostname: z.string().max(255),
  os: z.string().max(128),
  arch: z.string().max(32),
  cpu_model: z.string().max(128),
  cpus: z.number().min(0.1).max(4_096).describe('Cores offered.'),
  memory_mib: z.number().int().min(16).max(limits.int32.max).describe('Main memory offered.'),
  disk_free_mib: z.number().int().min(0).max(limits.int32.max),
  docker_version: z.string().max(64),
  gpus: z
    .array(gpuReport)
    .max(64)
    .refine((gpus) => new Set(gpus.map((gpu) => gpu.uuid)).size === gpus.length, 'must not name a GPU twice'),
  price_per_gpu_hour_micros: positiveMicrosString,
  price_per_cpu_hour_micros: positiveMicrosString,
  // Old agents do not send what follows.
  spot_percent: z.number().int().min(1).max(100).default(100).describe('Of these prices, for spot jobs.'),
  shares_gpus: z.boolean().default(false).describe('Jobs may share a GPU.'),
  move_grace_seconds: z
    .number()
    .int()
    .min(0)
    .max(limits.stopGraceSeconds.max)
    .default(limits.stopGraceSeconds.max)
    .describe('Most that a job gets to end by itself when the owner takes the machine back.'),
  region: regionName.or(z.literal('')).default(''),
  cuda_version: z.string().max(16).nullable().default(null),
  ...protection.shape,
  cached_images: z.array(z.string().max(limits.imageChars)).max(256).default([]),
});
export type Inventory = z.infer<typeof inventory>;
