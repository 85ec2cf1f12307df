import { z } from 'zod';
import { timestamp } from './common.ts';

/**
 * What a machine is, seen from the owner's side; decided by its agent, after HTCondor's model.
 *
 * - `owner`     the owner's own: takes no work and has none
 * - `unclaimed` ready, waits for a job
 * - `claimed`   works
 * - `suspended` works at the lowest priority, until it is known whether the owner stays
 * - `vacating`  programs were asked to end
 * - `killing`   their time is over: they are killed
 * - `drained`   the owner wants nothing new; empty, or finishing what it has
 */
export const ownerStates = [
  'owner',
  'unclaimed',
  'claimed',
  'suspended',
  'vacating',
  'killing',
  'drained',
] as const;
export const ownerState = z.enum(ownerStates).meta({ id: 'OwnerState' });
export type OwnerState = z.infer<typeof ownerState>;

interface OwnerReasonRow {
  /** What the owner reads. */
  owner: string;
  /** What the renter reads whose job had to go, and nothing more: how people live is not the market's business. */
  renter: string;
}

const returned = 'The owner uses the machine again.';
const unfit = 'The machine can not go on with work at this time.';
const closed = 'The time in which the owner lends the machine is over.';
const taken = 'The owner took the machine back.';

/** Why a machine is in its state. */
export const ownerReasons = {
  ready: { owner: 'Ready, waiting for a job.', renter: taken },
  working: { owner: 'A job runs.', renter: taken },
  settling: { owner: 'Free again; takes work soon, if it stays so.', renter: returned },
  person: { owner: 'Keyboard or mouse is in use.', renter: returned },
  'person-unknown': {
    owner: 'It cannot be seen whether somebody is at the machine, so it takes no work.',
    renter: returned,
  },
  'full-screen': { owner: 'A program fills the screen or keeps it awake.', renter: returned },
  app: { owner: 'A program of your list runs.', renter: returned },
  'gpu-in-use': { owner: 'Another program uses the GPU.', renter: returned },
  battery: { owner: 'The machine runs on its battery.', renter: unfit },
  hot: { owner: 'Too hot; cooling down.', renter: unfit },
  'disk-low': { owner: 'The disk is nearly full.', renter: unfit },
  schedule: { owner: 'Off by your schedule.', renter: closed },
  paused: { owner: 'Paused by you.', renter: taken },
  drained: { owner: 'Drained by you: nothing new.', renter: taken },
} as const satisfies Record<string, OwnerReasonRow>;

export type OwnerReason = keyof typeof ownerReasons;
export const ownerReasonCodes = Object.keys(ownerReasons) as [OwnerReason, ...OwnerReason[]];
export const ownerReason = z.enum(ownerReasonCodes).meta({ id: 'OwnerReason' });

export const ownerProfiles = ['server', 'desktop', 'night', 'manual'] as const;
export const ownerProfile = z.enum(ownerProfiles).meta({ id: 'OwnerProfile' });
export type OwnerProfile = z.infer<typeof ownerProfile>;

/** What an agent says of its owner's rules to the owner. */
export const ownerReport = z
  .strictObject({
    state: ownerState,
    reason: ownerReason,
    sentence: z.string().max(300).describe('For the owner; may name a program or a temperature.'),
    accepts_work: z.boolean(),
    until: timestamp.nullable().describe('Expected to last until then; null when nobody can say.'),
    profile: ownerProfile,
  })
  .meta({ id: 'OwnerReport' });
export type OwnerReport = z.infer<typeof ownerReport>;

/** What of it the market is told: codes, and never which program runs or how warm it is. */
export const ownerNotice = ownerReport.omit({ sentence: true, profile: true }).meta({ id: 'OwnerNotice' });
export type OwnerNotice = z.infer<typeof ownerNotice>;

/** Why a machine takes no new work, in words for its owner; null when it takes work, or its agent does not tell. */
export function whyNoWork(notice: OwnerNotice | null): string | null {
  return notice === null || notice.accepts_work ? null : ownerReasons[notice.reason].owner;
}

/** Kinds of jobs that an owner may refuse. */
export const jobKinds = ['gpu', 'cpu', 'on-demand', 'spot'] as const;
export const jobKind = z.enum(jobKinds);
export type JobKind = z.infer<typeof jobKind>;

/**
 * An image, or several: `name` stands for all its tags and digests, `name/*` for all below it. Names are compared as
 * jobs write them, with Docker's short forms made long.
 */
export const imagePattern = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[a-z0-9][a-z0-9._:/@-]*(\/\*)?$/i, 'must be an image such as "pytorch/pytorch" or "ghcr.io/me/*"');

/** What an owner takes of all jobs; the market offers nothing else. */
export const ownerLimits = z
  .strictObject({
    least_price_per_hour_micros: z
      .string()
      .regex(/^\d{1,18}$/)
      .nullable()
      .default(null)
      .describe('Of the whole job, whatever part of the machine it takes.'),
    most_seconds: z.number().int().min(60).nullable().default(null).describe('The longest time limit.'),
    refuse_kinds: z.array(jobKind).max(jobKinds.length).default([]),
    images_allowed: z.array(imagePattern).max(100).default([]).describe('Only these; empty is any.'),
    images_denied: z.array(imagePattern).max(100).default([]),
  })
  .meta({ id: 'OwnerLimits' });
export type OwnerLimits = z.infer<typeof ownerLimits>;

export const noOwnerLimits: OwnerLimits = ownerLimits.parse({});

/** What of a job the limits look at. */
export interface LimitedJob {
  image: string;
  gpus: number;
  class: 'on-demand' | 'spot';
  timeLimitSeconds: number;
  /** Of the whole job. */
  pricePerHourMicros: bigint;
}

/** The first limit that a job is beyond, in words; null when it is within all of them. */
export function beyondOwnerLimits(job: LimitedJob, limits: OwnerLimits): string | null {
  if (limits.refuse_kinds.includes(job.gpus > 0 ? 'gpu' : 'cpu'))
    return `the owner takes no ${job.gpus > 0 ? 'GPU' : 'CPU'} jobs`;
  if (limits.refuse_kinds.includes(job.class)) return `the owner takes no ${job.class} jobs`;
  if (limits.most_seconds !== null && job.timeLimitSeconds > limits.most_seconds)
    return `longer than the owner's ${limits.most_seconds} s`;
  if (
    limits.least_price_per_hour_micros !== null &&
    job.pricePerHourMicros < BigInt(limits.least_price_per_hour_micros)
  )
    return "below the owner's least price for a job";
  return refusesImage(job.image, limits) ? 'the owner does not run this image' : null;
}

/** Whether the image is on the owner's list of denied ones, or not on that of the allowed ones. */
export function refusesImage(image: string, limits: Pick<OwnerLimits, 'images_allowed' | 'images_denied'>) {
  const { images_allowed: allowed, images_denied: denied } = limits;
  if (allowed.length === 0 && denied.length === 0) return false;
  const isNamed = (pattern: string) => matchesImage(image, pattern);
  return denied.some(isNamed) || (allowed.length > 0 && !allowed.some(isNamed));
}

function matchesImage(image: string, pattern: string): boolean {
  const full = longName(image);
  if (pattern.endsWith('/*')) return full.startsWith(`${longName(pattern.slice(0, -2), true)}/`);
  const wanted = longName(pattern);
  return full === wanted || full.startsWith(`${wanted}:`) || full.startsWith(`${wanted}@`);
}

/** `python` is `docker.io/library/python`; `me/tool` is `docker.io/me/tool`. */
function longName(name: string, isFolder = false): string {
  const [first = '', ...rest] = name.split('/');
  const hasRegistry = /[.:]/.test(first) || first === 'localhost';
  if (hasRegistry && (rest.length > 0 || isFolder)) return name;
  return rest.length === 0 && !isFolder ? `docker.io/library/${name}` : `docker.io/${name}`;
}
