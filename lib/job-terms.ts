import type { SourceJob } from './job-to-draft.ts';
import { draftFromJob } from './job-to-draft.ts';
import { formatMemory } from './format-size.ts';
import type { JobDraft, JobDraftField } from '../types/job-draft.ts';

/** What a job asks for, as its page lists it; what is as usual is left out. */
export function jobTerms(job: SourceJob): { name: string; value: string }[] {
  const draft = draftFromJob(job);
  return [
    { name: 'GPUs', value: job.gpus === 0 ? 'none' : `${job.gpus}` },
    ...named(draft, job.gpus === 0 ? [] : gpuTerms),
    { name: 'CPU cores', value: draft.cpus },
    { name: 'Memory', value: formatMemory(job.memoryMib) },
    ...named(draft, terms),
  ];
}

type Terms = readonly (readonly [JobDraftField, name: string])[];

const gpuTerms: Terms = [
  ['gpuModels', 'GPU model'],
  ['gpuShare', 'Share of one GPU'],
  ['vram', 'Memory of each GPU'],
  ['computeCapability', 'Compute capability'],
  ['driver', 'Driver'],
  ['cuda', 'CUDA'],
];

const terms: Terms = [
  ['disk', 'Free disk'],
  ['region', 'Region'],
  ['reliability', 'Least reliability'],
  ['tier', 'Trust'],
  ['network', 'Network'],
  ['class', 'Class'],
  ['priority', 'Priority'],
  ['timeLimit', 'Time limit'],
  ['maxCost', 'May cost at most'],
  ['onLimit', 'As that comes near'],
  ['queue', 'Gives up waiting after'],
  ['retries', 'Further tries'],
  ['retryOn', 'Only after exit codes'],
  ['neverRetryOn', 'Never after exit codes'],
  ['lostAfter', 'Lost after silence of'],
  ['stopAfter', 'Stops by itself after'],
  ['replace', 'Replaced when lost'],
  ['keep', 'If both run, keeps'],
  ['checkpoint', 'State directory'],
  ['checkpointEvery', 'Saved every'],
  ['checkpointCommand', 'Run before each save'],
  ['stopGrace', 'Grace to stop'],
];

/** Lowest versions are told as such; a list of names is read more easily with "or". */
function named(draft: JobDraft, rows: Terms): { name: string; value: string }[] {
  return rows
    .filter(([field]) => draft[field] !== '')
    .map(([field, name]) => ({ name, value: words(field, draft[field]) }));
}

function words(field: JobDraftField, value: string): string {
  const inWords = phrases[field];
  return inWords ? inWords(value) : value;
}

const anyOf = (value: string) => value.replaceAll('|', ' or ');
const inDollars = (value: string) => `$${value}`;
const orNewer = (value: string) => `${value} or newer`;

/** Fields whose grammar is short to type and not to read. */
const phrases: Partial<Record<JobDraftField, (value: string) => string>> = {
  gpuModels: anyOf,
  region: anyOf,
  computeCapability: orNewer,
  driver: orNewer,
  cuda: orNewer,
  vram: (value) => value.replace(/\.\.$/, ' or more').replace(/^\.\./, 'at most ').replace('..', ' to '),
  maxCost: inDollars,
  onLimit: (value) =>
    value === 'stop' ? 'uses all of it, then stops' : 'stops early enough to save its state',
  tier: (value) => `${value} or better`,
  replace: (value) => (value === 'false' ? 'no' : 'yes'),
};
