import {
  jobKind,
  imagePattern,
  type OwnerLimits,
  type OwnerProfile,
  ownerProfile,
} from '@computefabric/protocol/owner-state';
import { parseUsd } from '@computefabric/protocol/money';
import { z } from 'zod';
import { type Schedule, scheduleWindow } from './schedule.ts';

/** What an owner wants, with the defaults of the profile filled in. */
export interface OwnerConfig {
  profile: OwnerProfile;
  schedule: Schedule;
  /** True: no work until the file says otherwise. Null: what the owner said by hand counts alone. */
  paused: boolean | null;
  /** Nobody is there when keyboard and mouse rest for this long; 0 does not look at them. */
  idleSeconds: number;
  /** After a stop that was sensed (a person, a program, a battery, heat) it stays stopped for at least this long. */
  settleSeconds: number;
  /** A job is slowed for this long before it has to go, in case the owner leaves again. */
  suspendSeconds: number;
  /** Most that a program gets between SIGTERM and SIGKILL when the owner returns. */
  vacateGraceSeconds: number;
  watchesFullScreen: boolean;
  /** Programs beside which no job runs, by the name of their file. */
  neverWith: readonly string[];
  watchesGpu: boolean;
  worksOnBattery: boolean;
  /** Null does not look. */
  mostGpuCelsius: number | null;
  mostCpuCelsius: number | null;
  /** Too hot, a job is slowed for this long; then it has to go. */
  coolSeconds: number;
  leastFreeDiskMib: number;
  /** Watts that a GPU may take while jobs run; null leaves the cards alone. */
  powerLimitWatts: number | null;
  limits: OwnerLimits;
  /** A program that is asked about each job, with its arguments; null asks nobody. */
  hook: { command: readonly string[]; seconds: number } | null;
}

const seconds = (most: number) => z.number().int().min(0).max(most);
const celsius = z.number().min(30).max(120).nullable();
const timeZone = z.string().refine(isTimeZone, 'is not a time zone such as "Europe/Berlin"');
const usd = z.string().transform((text, context) => {
  const micros = parseUsd(text);
  if (micros !== null) return micros.toString();
  context.addIssue({ code: 'custom', message: 'must be an amount in USD such as "0.35"' });
  return z.NEVER;
});

/** The owner's file. Nothing in it is needed: what is not said, the profile says. */
const ownerFile = z.strictObject({
  profile: ownerProfile.optional(),
  paused: z.boolean().optional(),
  time_zone: timeZone.optional(),
  schedule: z.array(scheduleWindow).max(50).optional(),
  idle_seconds: seconds(86_400).optional(),
  settle_seconds: seconds(86_400).optional(),
  suspend_seconds: seconds(600).optional(),
  vacate_grace_seconds: seconds(600).optional(),
  watch_full_screen: z.boolean().optional(),
  never_with: z.array(z.string().min(1).max(128)).max(200).optional(),
  watch_gpu: z.boolean().optional(),
  work_on_battery: z.boolean().optional(),
  most_gpu_celsius: celsius.optional(),
  most_cpu_celsius: celsius.optional(),
  cool_seconds: seconds(600).optional(),
  least_free_disk_gib: z.number().min(0).max(1_000_000).optional(),
  power_limit_watts: z.number().int().min(10).max(2_000).nullable().optional(),
  jobs: z
    .strictObject({
      least_price_per_hour: usd.optional(),
      most_seconds: z.number().int().min(60).optional(),
      refuse: z.array(jobKind).optional(),
      images_allowed: z.array(imagePattern).max(100).optional(),
      images_denied: z.array(imagePattern).max(100).optional(),
      ask: z.array(z.string().min(1).max(1_024)).min(1).max(32).optional(),
      ask_seconds: z.number().int().min(1).max(10).optional(),
    })
    .optional(),
});

/** A file that cannot be used; the message names each field that is wrong. */
export class OwnerConfigError extends Error {
  override readonly name = 'OwnerConfigError';
}

type Rules = Omit<OwnerConfig, 'profile' | 'paused' | 'limits' | 'hook' | 'schedule'> & {
  schedule: Schedule['windows'];
};

const server: Rules = {
  schedule: [],
  idleSeconds: 0,
  settleSeconds: 60,
  suspendSeconds: 0,
  // With the 2 s that the agent takes at most, the GPU is free 15 s after the owner's return.
  vacateGraceSeconds: 13,
  watchesFullScreen: false,
  neverWith: [],
  watchesGpu: true,
  worksOnBattery: false,
  mostGpuCelsius: 87,
  mostCpuCelsius: null,
  coolSeconds: 60,
  leastFreeDiskMib: 2_048,
  powerLimitWatts: null,
};
const desktop: Rules = {
  ...server,
  idleSeconds: 300,
  settleSeconds: 300,
  watchesFullScreen: true,
  mostGpuCelsius: 83,
  mostCpuCelsius: 95,
  leastFreeDiskMib: 10_240,
};
const everyDay = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/** What each profile means, before the owner says otherwise. */
export const profileRules: Record<OwnerProfile, Rules> = {
  server,
  desktop,
  night: { ...desktop, schedule: [{ days: [...everyDay], from: '22:00', to: '07:00' }] },
  // Works when told to, and until told otherwise: nothing is guessed about the person.
  manual: { ...server, watchesFullScreen: false },
};

/**
 * The owner's wishes from the text of their file; the text '' is a file that says nothing.
 *
 * @throws OwnerConfigError naming every wrong field
 */
export function parseOwnerConfig(
  text: string,
  defaults: { profile: OwnerProfile; timeZone: string },
): OwnerConfig {
  const parsed = ownerFile.safeParse(text.trim() === '' ? {} : readJson(text));
  if (!parsed.success) {
    const wrong = parsed.error.issues.map(
      (issue) => `${issue.path.length > 0 ? issue.path.join('.') : 'the file'}: ${issue.message}`,
    );
    throw new OwnerConfigError(wrong.join('; '));
  }
  const given = parsed.data;
  const profile = given.profile ?? defaults.profile;
  const rules = profileRules[profile];
  const { jobs = {} } = given;
  return {
    profile,
    paused: given.paused ?? null,
    schedule: {
      timeZone: given.time_zone ?? defaults.timeZone,
      windows: given.schedule ?? rules.schedule,
    },
    idleSeconds: given.idle_seconds ?? rules.idleSeconds,
    settleSeconds: given.settle_seconds ?? rules.settleSeconds,
    suspendSeconds: given.suspend_seconds ?? rules.suspendSeconds,
    vacateGraceSeconds: given.vacate_grace_seconds ?? rules.vacateGraceSeconds,
    watchesFullScreen: given.watch_full_screen ?? rules.watchesFullScreen,
    neverWith: given.never_with ?? rules.neverWith,
    watchesGpu: given.watch_gpu ?? rules.watchesGpu,
    worksOnBattery: given.work_on_battery ?? rules.worksOnBattery,
    mostGpuCelsius: given.most_gpu_celsius === undefined ? rules.mostGpuCelsius : given.most_gpu_celsius,
    mostCpuCelsius: given.most_cpu_celsius === undefined ? rules.mostCpuCelsius : given.most_cpu_celsius,
    coolSeconds: given.cool_seconds ?? rules.coolSeconds,
    leastFreeDiskMib:
      given.least_free_disk_gib === undefined
        ? rules.leastFreeDiskMib
        : Math.round(given.least_free_disk_gib * 1_024),
    powerLimitWatts: given.power_limit_watts ?? rules.powerLimitWatts,
    limits: {
      least_price_per_hour_micros: jobs.least_price_per_hour ?? null,
      most_seconds: jobs.most_seconds ?? null,
      refuse_kinds: jobs.refuse ?? [],
      images_allowed: jobs.images_allowed ?? [],
      images_denied: jobs.images_denied ?? [],
    },
    hook: jobs.ask ? { command: jobs.ask, seconds: jobs.ask_seconds ?? 5 } : null,
  };
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new OwnerConfigError(`the file is not JSON: ${thrown instanceof Error ? thrown.message : ''}`, {
      cause: thrown,
    });
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false; // that is the answer
  }
}
