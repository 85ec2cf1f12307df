import { availableParallelism, hostname, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { displayName } from '@computefabric/protocol/common';
import { limits } from '@computefabric/protocol/limits';
import { parseUsd } from '@computefabric/protocol/money';
import { type OwnerProfile, ownerProfile } from '@computefabric/protocol/owner-state';
import { type NetworkMode, networkMode } from '@computefabric/protocol/network';
import { sandboxes } from '@computefabric/protocol/protection';
import { regionName } from '@computefabric/protocol/user-api/requirements';
import { logLevelSetting, parseSettings } from '@computefabric/runtime/config';
import type { LogLevel } from '@computefabric/runtime/log';
import { type Secret, secretSetting } from '@computefabric/runtime/secret';
import { z } from 'zod';
import type { ImageRules } from './images/pulled-images.ts';

/** Memory that is never offered: the owner's system needs some to stay usable. */
const keptMemoryMib = 1_024;
const bytesPerMib = 1_048_576;

const usd = z.string().transform((text, context) => {
  const micros = parseUsd(text);
  if (micros !== null) return micros;
  context.addIssue({ code: 'custom', message: 'must be an amount in USD such as 0.35' });
  return z.NEVER;
});

/** Texts with commas between them. */
const listOf = (item: z.ZodType<string, string>, most: number) =>
  z
    .string()
    .transform((text) =>
      text
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(item).max(most));

const settings = z.object({
  /** Address of the orchestrator. */
  COMPUTEFABRIC_URL: z
    .url({ protocol: /^https?$/, message: 'must be an http or https address' })
    .default('http://127.0.0.1:4000'),
  /** One-use token with which the machine joins; needed for the first start only. */
  PROVIDER_JOIN_TOKEN: secretSetting.optional(),
  /** The machine's name on the market. */
  PROVIDER_NAME: displayName.optional(),
  /** Folder for the credential, task journals and spooled output. One agent per folder. */
  PROVIDER_HOME: z.string().default('./.computefabric/provider'),
  /** Simulated GPUs to offer beside real ones, such as `2x NVIDIA GeForce RTX 4090:24564`. */
  PROVIDER_SIMULATED_GPUS: z.string().default(''),
  /** What a GPU costs, USD per hour; jobs that pay less are declined. */
  PROVIDER_PRICE_PER_GPU_HOUR: usd.prefault('0.35'),
  /** What a CPU core costs when no GPU is asked for, USD per hour. */
  PROVIDER_PRICE_PER_CPU_HOUR: usd.prefault('0.02'),
  /** Percent of these prices that a spot job pays, which gives way when another one needs the machine. */
  PROVIDER_SPOT_PERCENT: z.coerce.number().int().min(1).max(100).default(100),
  /** `true`: jobs that ask for a part of a GPU may share one. */
  PROVIDER_SHARE_GPUS: z.enum(['true', 'false']).default('false'),
  /** Most seconds that a job gets to end by itself when you take the machine back: a drain, an absence, a stop. */
  PROVIDER_MOVE_GRACE_SECONDS: z.coerce
    .number()
    .int()
    .min(0)
    .max(limits.stopGraceSeconds.max)
    .default(limits.stopGraceSeconds.max),
  /** Most disk for the saved state of jobs that may come back to this machine, MiB; 0 keeps nothing after a try. */
  PROVIDER_STATE_CACHE_MIB: z.coerce.number().int().min(0).max(16_777_216).default(8_192),
  /**
   * When the machine works, unless the file `owner.json` in PROVIDER_HOME says it; by default `desktop` where somebody
   * works at a screen, else `server`.
   */
  PROVIDER_PROFILE: ownerProfile.optional(),
  /** The X display that tells of full-screen programs; set by the desktop. */
  DISPLAY: z.string().max(255).optional(),
  /** What runs jobs' programs; with `gvisor` no job runs where it does not pass its trial. */
  PROVIDER_SANDBOX: z.enum(sandboxes).default('containers'),
  /** Most that a job writes to disk, MiB, unless it asked for more and got it. */
  PROVIDER_JOB_DISK_MIB: z.coerce.number().int().min(16).max(16_777_216).default(10_240),
  /** Most disk for images that the agent pulled, MiB; beyond it those go that were used longest ago. */
  PROVIDER_IMAGE_CACHE_MIB: z.coerce.number().int().min(0).max(1_073_741_824).default(51_200),
  /** An image that has more to fetch is not pulled, MiB. */
  PROVIDER_IMAGE_MAX_MIB: z.coerce.number().int().min(1).max(1_073_741_824).default(30_720),
  /** Images that the agent never removes, with commas between them, as jobs name them. */
  PROVIDER_IMAGE_PINS: listOf(z.string().max(limits.imageChars), 256).prefault(''),
  /** `false`: nothing is pulled but what a job of this machine needs. */
  PROVIDER_IMAGE_PREPULL: z.enum(['true', 'false']).default('true'),
  /** Where the machine stands, in the market's own words, such as `eu-west`. */
  PROVIDER_REGION: regionName.optional(),
  /** Most CPU cores to offer; all by default. */
  PROVIDER_CPUS: z.coerce.number().min(0.1).max(4_096).optional(),
  /** Most main memory to offer, MiB; all but 1 GiB by default. */
  PROVIDER_MEMORY_MIB: z.coerce.number().int().min(16).max(16_777_216).optional(),
  /**
   * The most that a job may have of a network: `internet` (never this machine or its network), `allowlist` (only
   * servers that the job names, through the agent's proxy), `none`.
   */
  PROVIDER_NETWORK: networkMode.default('internet'),
  /** Networks that jobs never reach, beside every private one and the machine's own: such as `203.0.113.0/24`. */
  PROVIDER_NETWORK_DENY: listOf(z.cidrv4('must be networks such as 203.0.113.0/24'), 64).prefault(''),
  /** Name servers that jobs ask. Public ones: jobs do not reach those of your own network. */
  PROVIDER_NETWORK_DNS: listOf(z.ipv4('must be IPv4 addresses'), 3).prefault('1.1.1.1,9.9.9.9'),
  /** Most that one job may send and receive, megabits per second. */
  PROVIDER_NETWORK_MBPS: z.coerce.number().int().min(1).max(100_000).optional(),
  /** The Docker engine, such as `unix:///var/run/docker.sock`; where engines usually listen by default. */
  DOCKER_HOST: z.string().optional(),
  LOG_LEVEL: logLevelSetting.default('info'),
});

export interface ProviderConfig {
  orchestratorUrl: string;
  joinToken: Secret | null;
  name: string;
  /** Absolute path. */
  home: string;
  simulatedGpus: string;
  prices: OwnerPrices;
  /** Percent of the prices that a spot job pays. */
  spotPercent: number;
  sharesGpus: boolean;
  /** Most that a job gets to end by itself when the owner takes the machine back. */
  moveGraceSeconds: number;
  /** Most that is kept of the state of jobs, for their next tries here; 0 is nothing. */
  stateCacheBytes: number;
  /** Null: what suits the machine. */
  profile: OwnerProfile | null;
  /** The X display; null where there is none. */
  display: string | null;
  images: ImageRules;
  /** Empty when the owner names none. */
  region: string;
  /** Most that is offered of the machine. */
  offered: { cpus: number; memoryMib: number };
  sandbox: (typeof sandboxes)[number];
  /** Most that a job writes to disk unless it asked for more. */
  jobDiskMib: number;
  network: OwnerNetwork;
  dockerHost: string | null;
  logLevel: LogLevel;
}

/**
 * The agent's folder alone: commands to an agent that runs need no other setting.
 *
 * @throws ConfigError when it is wrong.
 */
export function parseHome(env: Readonly<Record<string, string | undefined>>): string {
  return resolve(parseSettings(settings.pick({ PROVIDER_HOME: true }), env).PROVIDER_HOME);
}

/** What the owner lets jobs reach. */
export interface OwnerNetwork {
  most: NetworkMode;
  /** Networks beside those that no job reaches anyway. */
  denied: string[];
  resolvers: string[];
  /** For each job and direction; null is no limit. */
  megabitsPerSecond: number | null;
}

/** What the owner asks, micros per hour. */
export interface OwnerPrices {
  perGpuHourMicros: bigint;
  perCpuHourMicros: bigint;
}

/**
 * The agent's settings.
 *
 * @throws ConfigError naming every wrong variable.
 */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): ProviderConfig {
  const given = parseSettings(settings, env);
  const memoryMib = Math.floor(totalmem() / bytesPerMib);
  return {
    orchestratorUrl: given.COMPUTEFABRIC_URL.replace(/\/+$/, ''),
    joinToken: given.PROVIDER_JOIN_TOKEN ?? null,
    name: given.PROVIDER_NAME ?? hostname(),
    home: resolve(given.PROVIDER_HOME),
    simulatedGpus: given.PROVIDER_SIMULATED_GPUS,
    prices: {
      perGpuHourMicros: given.PROVIDER_PRICE_PER_GPU_HOUR,
      perCpuHourMicros: given.PROVIDER_PRICE_PER_CPU_HOUR,
    },
    spotPercent: given.PROVIDER_SPOT_PERCENT,
    sharesGpus: given.PROVIDER_SHARE_GPUS === 'true',
    moveGraceSeconds: given.PROVIDER_MOVE_GRACE_SECONDS,
    stateCacheBytes: given.PROVIDER_STATE_CACHE_MIB * bytesPerMib,
    profile: given.PROVIDER_PROFILE ?? null,
    display: given.DISPLAY || null,
    images: {
      budgetBytes: given.PROVIDER_IMAGE_CACHE_MIB * bytesPerMib,
      mostBytes: given.PROVIDER_IMAGE_MAX_MIB * bytesPerMib,
      pins: given.PROVIDER_IMAGE_PINS,
      prepull: given.PROVIDER_IMAGE_PREPULL === 'true',
    },
    region: given.PROVIDER_REGION ?? '',
    offered: {
      cpus: Math.min(given.PROVIDER_CPUS ?? Number.POSITIVE_INFINITY, availableParallelism()),
      memoryMib: Math.min(
        given.PROVIDER_MEMORY_MIB ?? Number.POSITIVE_INFINITY,
        Math.max(memoryMib - keptMemoryMib, Math.floor(memoryMib / 2)),
      ),
    },
    sandbox: given.PROVIDER_SANDBOX,
    jobDiskMib: given.PROVIDER_JOB_DISK_MIB,
    network: {
      most: given.PROVIDER_NETWORK,
      denied: given.PROVIDER_NETWORK_DENY,
      resolvers: given.PROVIDER_NETWORK_DNS,
      megabitsPerSecond: given.PROVIDER_NETWORK_MBPS ?? null,
    },
    dockerHost: given.DOCKER_HOST ?? null,
    logLevel: given.LOG_LEVEL,
  };
}
