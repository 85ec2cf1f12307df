import { describe, expect, test } from 'vitest';
import { jobSpec } from '../user-api/job-spec.ts';
import { formatDependency, type JobWords, jobFile, jobFileSchema, parseDependency } from './job-file.ts';
import { overlay, readJob, type WrittenJob, writtenPath, writtenProblem } from './read-job.ts';

function jobOf(words: Partial<JobWords>): WrittenJob {
  const read = readJob({ image: 'busybox', ...words });
  if (read.kind === 'wrong') throw new Error(JSON.stringify(read.problems));
  return read.job;
}

function problemsOf(words: object): Record<string, string> {
  const read = readJob(words);
  return read.kind === 'job'
    ? {}
    : Object.fromEntries(read.problems.map(({ path, message }) => [path, message]));
}

test('everything that a job may say can be written, and means what it says', () => {
  const { spec } = jobOf({
    name: 'train',
    command: 'python train.py',
    env: { LR: 0.1, DEBUG: true, NAME: 'x' },
    gpus: 2,
    gpu: 'RTX 4090|A100',
    vram: '24GB..80GB',
    compute_capability: '8.0',
    driver: '535.104',
    cuda: '12.2',
    cpus: '1.5',
    memory: '4GiB',
    disk: '20GiB',
    region: ['eu-west', 'us-east'],
    reliability: '95%',
    tier: 'verified',
    network: 'pypi.org, *.pypi.org:8443',
    max_price: '0.50',
    class: 'spot',
    priority: 70,
    time_limit: '2h',
    queue: '6h',
    after: ['prepare', 'old:any'],
    retries: { max: 3, on: '1,137', never_on: [2] },
    disconnect: { lost_after: '2m', stop_after: '10m', replace: 'no', keep: 'original' },
    checkpoint: { path: '/state', every: '5m', command: 'save' },
    stop_grace: '30s',
  });
  expect(spec).toEqual({
    name: 'train',
    image: 'busybox',
    command: 'python train.py',
    env: { LR: '0.1', DEBUG: 'true', NAME: 'x' },
    requirements: {
      gpus: 2,
      gpu_models: ['RTX 4090', 'A100'],
      min_vram_mib: 22_889,
      max_vram_mib: 81_920,
      min_compute_capability: '8.0',
      min_driver: '535.104',
      min_cuda: '12.2',
      cpus: 1.5,
      memory_mib: 4_096,
      disk_mib: 20_480,
      regions: ['eu-west', 'us-east'],
      min_reliability: 0.95,
      min_tier: 'verified',
    },
    network: { mode: 'allowlist', allow: ['pypi.org', '*.pypi.org:8443'] },
    max_price_per_hour_micros: '500000',
    class: 'spot',
    priority: 70,
    time_limit_seconds: 7_200,
    queue_timeout_seconds: 21_600,
    after: [
      { job: 'prepare', when: 'success' },
      { job: 'old', when: 'any' },
    ],
    retries: { max: 3, on_exit_codes: [1, 137], never_on_exit_codes: [2] },
    disconnect: { lost_after_seconds: 120, stop_after_seconds: 600, replace: false, keep: 'original' },
    checkpoint: { path: '/state', every_seconds: 300, command: 'save' },
    stop_grace_seconds: 30,
  });
  expect(jobSpec.safeParse(spec).success).toBe(true);
});

test('no field of a job is without its key', () => {
  const { after: _after, ...fields } = jobSpec.shape;
  const names = [...Object.keys(fields), ...Object.keys(jobSpec.shape.requirements.unwrap().shape)];
  const keys = new Set(Object.keys(jobFile.shape));
  const nested = Object.keys(jobSpec.shape.requirements.unwrap().shape).map((name) => `requirements.${name}`);
  const paths = [...Object.keys(fields).filter((name) => name !== 'requirements'), ...nested];
  expect(names.length).toBeGreaterThan(20);
  expect(paths.filter((path) => !keys.has(writtenPath(path).split('.')[0] ?? ''))).toEqual([]);
});

describe('short forms', () => {
  test.each([
    ['none', { mode: 'none', allow: [] }],
    ['internet', { mode: 'internet', allow: [] }],
    ['pypi.org,*.pypi.org', { mode: 'allowlist', allow: ['pypi.org', '*.pypi.org'] }],
    [['pypi.org:8443'], { mode: 'allowlist', allow: ['pypi.org:8443'] }],
  ])('a network is one word, or servers: %j', (network, expected) => {
    expect(jobOf({ network }).spec.network).toEqual(expected);
  });

  test.each(['offline', '', '10.0.0.1', '*', 'localhost', 'https://pypi.org/', 'pypi.org:99999'])(
    'a network that is neither is refused: %j',
    (network) => {
      expect(Object.keys(problemsOf({ image: 'x', network }))).toEqual([expect.stringMatching(/^network/)]);
    },
  );

  test('a number of retries, a path of a checkpoint, one dependency, a number of members', () => {
    const { spec, array } = jobOf({ retries: 3, checkpoint: '/state', after: 'prepare:failure', array: 100 });
    expect(spec).toMatchObject({
      retries: { max: 3 },
      checkpoint: { path: '/state' },
      after: [{ job: 'prepare', when: 'failure' }],
    });
    expect(array).toEqual({ count: 100 });
  });

  test.each<[string, Partial<JobWords>]>([
    ['gpu', { gpu: 'A100' }],
    ['vram', { vram: '8GB' }],
    ['gpu_share', { gpu_share: 0.5 }],
    ['cuda', { cuda: '12.2' }],
  ])('asking for a kind of GPU is asking for one: %s', (_, words) => {
    expect(jobOf(words).spec.requirements?.gpus).toBe(1);
    expect(jobOf({}).spec.requirements?.gpus).toBe(0);
  });

  test('shapes are handed over beside the job', () => {
    const { array, machines } = jobOf({ array: { matrix: { lr: [0.1, '0.01'] }, max_parallel: 2 } });
    expect(array).toEqual({ matrix: { lr: ['0.1', '0.01'] }, max_parallel: 2 });
    expect(machines).toBeUndefined();
    expect(jobOf({ machines: 4 }).machines).toBe(4);
    expect(Object.keys(problemsOf({ image: 'x', machines: 4, array: 3 }))).toEqual(['machines']);
    expect(Object.keys(problemsOf({ image: 'x', array: { count: 3, matrix: { a: ['1'] } } }))).toEqual([
      'array',
    ]);
  });
});

describe('what is wrong', () => {
  test('every wrong key is told, in words that follow it and in the units in which it is written', () => {
    expect(
      problemsOf({
        image: 'x',
        comand: 'x',
        cpus: 'many',
        vram: 'big',
        time_limit: '99d',
        gpu_share: 2,
        retries: { maxx: 1 },
        env: { '1A': 'x' },
        disconnect: { lost_after: '1s' },
        after: ['a:never'],
        tier: 'best',
      }),
    ).toEqual({
      comand: 'is not a known field; a similar one exists: command',
      cpus: 'must be a number such as 4 or 0.5',
      vram: 'must be a size or a range such as 24GB.., 24GB..80GB or ..48GB',
      time_limit: 'must be at most 7d',
      gpu_share: 'must be a share of one GPU such as 0.25, 25% or 250m',
      'retries.maxx': 'is not a known field; a similar one exists: max',
      'env.1A': 'is not a good name: it must be a variable name such as MODEL_PATH',
      'disconnect.lost_after': 'must be at least 5s',
      'after[0]': 'must be JOB, JOB:success, JOB:any or JOB:failure',
      tier: 'must be one of community, verified, trusted',
    });
  });

  test('a job without an image, and what is no job at all', () => {
    expect(problemsOf({})).toEqual({ image: 'is missing; it must be a string' });
    expect(problemsOf([])).toEqual({ '': 'must be an object' });
  });

  test('a share of more than one GPU is refused at the share', () => {
    expect(Object.keys(problemsOf({ image: 'x', gpus: 2, gpu_share: 0.5 }))).toEqual(['gpu_share']);
  });

  test('what the server finds is told at the key that people know', () => {
    expect(writtenProblem({ path: 'requirements.memory_mib', message: 'must be at least 16' })).toEqual({
      path: 'memory',
      message: 'must be at least 16 MiB',
    });
    expect(writtenPath('spec.requirements.regions[1]')).toBe('region[1]');
    expect(writtenPath('env.LD_PRELOAD')).toBe('env.LD_PRELOAD');
  });
});

test('what is written later wins, key by key where a key holds several', () => {
  const under: JobWords = {
    image: 'a',
    cpus: 1,
    env: { A: '1', B: '2' },
    retries: 3,
    checkpoint: '/state',
    disconnect: { lost_after: '1m', keep: 'original' },
  };
  const over: Partial<JobWords> = {
    cpus: 2,
    env: { B: '3' },
    retries: { on: '1' },
    checkpoint: { path: '/other', every: '1m' },
    disconnect: { keep: 'replacement' },
  };
  expect(overlay(under, over)).toEqual({
    image: 'a',
    cpus: 2,
    env: { A: '1', B: '3' },
    retries: { max: 3, on: '1' },
    checkpoint: { path: '/other', every: '1m' },
    disconnect: { lost_after: '1m', keep: 'replacement' },
  });
  expect(overlay(under, {})).toEqual(under);
});

test('a dependency can be typed again', () => {
  for (const text of ['prepare', 'prepare:any', 'job_01:failure']) {
    const dependency = parseDependency(text);
    expect(dependency && formatDependency(dependency)).toBe(text);
  }
  for (const text of ['', ':any', 'a:b', 'a:any:any']) expect(parseDependency(text)).toBeNull();
});

test('the schema for editors knows every key, forbids others and gives examples', () => {
  const schema = jobFileSchema() as {
    properties: Record<string, { description?: string; examples?: unknown[] }>;
    additionalProperties: boolean;
    required: string[];
  };
  expect(Object.keys(schema.properties)).toEqual(Object.keys(jobFile.shape));
  expect(schema.additionalProperties).toBe(false);
  expect(schema.required).toEqual(['image']);
  expect(schema.properties.vram?.examples).toContain('24GB..80GB');
});
