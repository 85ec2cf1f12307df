import { describe, expect, it } from 'vitest';
import type { JobDraft } from '../types/job-draft.ts';
import { draftErrors, jobCount, parseDraft } from './job-draft.ts';
import { draftFields } from './job-draft-fields.ts';
import { emptyDraft } from './job-to-draft.ts';

const draft: JobDraft = {
  ...emptyDraft,
  image: 'pytorch/pytorch:latest',
  command: 'python train.py',
  cpus: '2',
  memory: '4',
  timeLimit: '30m',
};

function specOf(changes: Partial<JobDraft>) {
  const parsed = parseDraft({ ...draft, ...changes });
  if (parsed.kind !== 'job') throw new Error(JSON.stringify(parsed.errors));
  return parsed.job.spec;
}

function errorsOf(changes: Partial<JobDraft>) {
  const parsed = parseDraft({ ...draft, ...changes });
  return parsed.kind === 'wrong' ? parsed.errors : {};
}

describe('the submit form', () => {
  it('becomes a job spec in the units of the API', () => {
    expect(specOf({ vram: '24GB..80GB', maxPrice: '$0.40', timeLimit: '1h30m' })).toMatchObject({
      image: 'pytorch/pytorch:latest',
      command: 'python train.py',
      requirements: { gpus: 1, min_vram_mib: 22_889, max_vram_mib: 81_920, cpus: 2, memory_mib: 3_815 },
      time_limit_seconds: 5_400,
      max_price_per_hour_micros: '400000',
    });
  });

  it('leaves the choice to the image and the market where a field is empty', () => {
    const spec = specOf({ command: ' ', maxPrice: '', name: '' });
    for (const field of ['command', 'max_price_per_hour_micros', 'name', 'retries', 'checkpoint', 'class'])
      expect(spec).not.toHaveProperty(field);
  });

  it('keeps equals signs and spaces in values of the environment', () => {
    expect(specOf({ env: 'A=b=c\n\nEMPTY=\nSPACED= x ' }).env).toEqual({
      A: 'b=c',
      EMPTY: '',
      SPACED: ' x ',
    });
  });

  it('becomes many jobs where a count, a sweep or machines are asked for', () => {
    const many = (changes: Partial<JobDraft>) => {
      const parsed = parseDraft({ ...draft, ...changes });
      if (parsed.kind !== 'job') throw new Error(JSON.stringify(parsed.errors));
      const { array, machines } = parsed.job;
      return { array, machines, jobs: jobCount(parsed.job) };
    };
    expect(many({})).toEqual({ jobs: 1 });
    expect(many({ arrayCount: '100', maxParallel: '8' })).toEqual({
      array: { count: 100, max_parallel: 8 },
      jobs: 100,
    });
    expect(many({ matrix: 'lr=0.1, 0.01\nseed=1,2,3' })).toEqual({
      array: { matrix: { lr: ['0.1', '0.01'], seed: ['1', '2', '3'] } },
      jobs: 6,
    });
    expect(many({ machines: '4' })).toEqual({ machines: 4, jobs: 4 });
  });

  it.each<[string, Partial<JobDraft>, keyof JobDraft]>([
    ['a count and a sweep', { arrayCount: '2', matrix: 'a=1,2' }, 'arrayCount'],
    ['a limit of nothing', { maxParallel: '2' }, 'arrayCount'],
    ['a line without values', { matrix: 'lr' }, 'matrix'],
    ['a variable twice', { matrix: 'a=1\na=2' }, 'matrix'],
    ['a variable that the environment has too', { matrix: 'a=1,2', env: 'a=3' }, 'matrix'],
    ['retries of a gang', { machines: '2', retries: '1' }, 'retries'],
    ['a gang and an array', { machines: '2', arrayCount: '2' }, 'machines'],
    ['a gang of one', { machines: '1' }, 'machines'],
  ])('tells where %s is wrong', (_what, changes, field) => {
    expect(Object.keys(errorsOf(changes))).toEqual([field]);
  });

  it('splits the models that will do', () => {
    expect(specOf({ gpuModels: 'RTX 4090, A100 ,' }).requirements?.gpu_models).toEqual(['RTX 4090', 'A100']);
  });

  it('does not send what was typed for GPUs when none is asked for', () => {
    expect(specOf({ gpus: '0', vram: '24GB', gpuModels: 'A100', gpuShare: '0.5' }).requirements).toEqual({
      gpus: 0,
      cpus: 2,
      memory_mib: 3_815,
    });
  });

  it.each<[keyof JobDraft, string]>([
    ['image', ''],
    ['image', '--privileged'],
    ['gpus', '1.5'],
    ['gpus', '9'],
    ['cpus', '0'],
    ['memory', 'lots'],
    ['vram', '-1'],
    ['vram', '80GB..24GB'],
    ['maxPrice', '0,40'],
    ['timeLimit', '0s'],
    ['timeLimit', '30'],
    ['timeLimit', '99d'],
    ['gpuShare', '2'],
    ['driver', 'new'],
    ['region', 'EU West'],
    ['reliability', 'high'],
    ['tier', 'best'],
    ['class', 'cheap'],
    ['priority', '101'],
    ['queue', 'later'],
    ['after', 'job:never'],
    ['retries', '101'],
    ['retryOn', '0'],
    ['lostAfter', '1s'],
    ['keep', 'both'],
    ['checkpoint', 'state'],
    ['stopGrace', '1h'],
    ['disk', 'much'],
    ['name', 'Bad Name'],
    ['env', 'NOVALUE'],
    ['env', 'A=1\nA=2'],
    ['env', 'LD_PRELOAD=x'],
  ])('puts the complaint at the field: %s = "%s"', (field, value) => {
    expect(Object.keys(errorsOf({ [field]: value }))).toEqual([field]);
  });

  it('says what is wrong in the words and units of the command line', () => {
    expect(errorsOf({ vram: 'big', timeLimit: '99d' })).toEqual({
      vram: 'Must be a size or a range such as 24GB.., 24GB..80GB or ..48GB.',
      timeLimit: 'Must be at most 7d.',
    });
  });

  it('sends everything that is behind the disclosure', () => {
    expect(
      specOf({
        gpuShare: '250m',
        computeCapability: '8.0',
        driver: '535.104',
        cuda: '12.2',
        disk: '20GiB',
        region: 'eu-west, us-east',
        reliability: '95%',
        tier: 'verified',
        class: 'spot',
        priority: '80',
        queue: '6h',
        after: 'prepare, old:any',
        retries: '3',
        retryOn: '1,137',
        neverRetryOn: '2',
        lostAfter: '2m',
        stopAfter: '10m',
        replace: 'false',
        keep: 'original',
        checkpoint: '/state',
        checkpointEvery: '1m',
        checkpointCommand: 'save',
        stopGrace: '30s',
      }),
    ).toMatchObject({
      requirements: {
        gpu_milli: 250,
        min_compute_capability: '8.0',
        min_driver: '535.104',
        min_cuda: '12.2',
        disk_mib: 20_480,
        regions: ['eu-west', 'us-east'],
        min_reliability: 0.95,
        min_tier: 'verified',
      },
      class: 'spot',
      priority: 80,
      queue_timeout_seconds: 21_600,
      after: [
        { job: 'prepare', when: 'success' },
        { job: 'old', when: 'any' },
      ],
      retries: { max: 3, on_exit_codes: [1, 137], never_on_exit_codes: [2] },
      disconnect: { lost_after_seconds: 120, stop_after_seconds: 600, replace: false, keep: 'original' },
      checkpoint: { path: '/state', every_seconds: 60, command: 'save' },
      stop_grace_seconds: 30,
    });
    expect(draftFields.map(({ field }) => field).toSorted()).toEqual(Object.keys(draft).toSorted());
  });

  it('complains about every wrong field at once', () => {
    expect(Object.keys(errorsOf({ image: '', cpus: 'x', maxPrice: 'y' })).toSorted()).toEqual([
      'cpus',
      'image',
      'maxPrice',
    ]);
  });

  it('puts problems that the server found at their fields, and the rest above the form', () => {
    expect(
      draftErrors([
        { path: 'requirements.gpus', message: 'must be at most 8' },
        { path: 'requirements.gpus', message: 'second' },
        { path: 'somewhere', message: 'is odd' },
      ]),
    ).toEqual({ gpus: 'Must be at most 8.', form: 'somewhere: is odd' });
  });
});
