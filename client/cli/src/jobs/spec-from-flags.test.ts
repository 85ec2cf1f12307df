import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CliError } from '../errors/cli-error.ts';
import { jobFromFlags, type SpecFlags } from './spec-from-flags.ts';

async function specFromFlags(flags: SpecFlags, argv: string[]) {
  return (await jobFromFlags(flags, argv)).spec;
}

async function refusal(flags: SpecFlags, argv: string[] = []): Promise<CliError> {
  const thrown: unknown = await specFromFlags(flags, argv).catch((error: unknown) => error);
  if (thrown instanceof CliError) return thrown;
  throw new Error('should have been refused');
}

test('all flags together make the job that they say', async () => {
  const flags: SpecFlags = {
    image: 'pytorch/pytorch:latest',
    command: 'python train.py --lr=0.1',
    gpus: '2',
    gpu: ['RTX 4090|A10', 'A100'],
    vram: '24GB..80GB',
    computeCapability: '8.0',
    driver: '535.104',
    cuda: '12.2',
    disk: '20GB',
    region: ['eu-west', 'us-east|lab'],
    reliability: '95%',
    tier: 'verified',
    spot: true,
    priority: '70',
    after: ['prepare', 'old:any'],
    retries: '3',
    retryOn: '1,137',
    neverRetryOn: '2',
    lostAfter: '2m',
    stopAfter: '10m',
    replace: false,
    keep: 'original',
    checkpoint: '/state',
    checkpointEvery: '1m',
    checkpointCommand: 'save',
    stopGrace: '30s',
    cpus: '1.5',
    memory: '4GiB',
    env: ['LR=0.1', 'QUERY=a=b=c', 'EMPTY='],
    name: 'mnist',
    timeLimit: '1h30m',
    queue: '6h',
    maxPrice: '0.50',
  };
  expect(await specFromFlags(flags, [])).toMatchObject({
    name: 'mnist',
    image: 'pytorch/pytorch:latest',
    command: 'python train.py --lr=0.1',
    env: { LR: '0.1', QUERY: 'a=b=c', EMPTY: '' },
    requirements: {
      gpus: 2,
      gpu_models: ['RTX 4090', 'A10', 'A100'],
      min_vram_mib: 22_889,
      max_vram_mib: 81_920,
      min_compute_capability: '8.0',
      min_driver: '535.104',
      min_cuda: '12.2',
      cpus: 1.5,
      memory_mib: 4_096,
      disk_mib: 19_074,
      regions: ['eu-west', 'us-east', 'lab'],
      min_reliability: 0.95,
      min_tier: 'verified',
    },
    class: 'spot',
    priority: 70,
    after: [
      { job: 'prepare', when: 'success' },
      { job: 'old', when: 'any' },
    ],
    retries: { max: 3, on_exit_codes: [1, 137], never_on_exit_codes: [2] },
    disconnect: { lost_after_seconds: 120, stop_after_seconds: 600, replace: false, keep: 'original' },
    checkpoint: { path: '/state', every_seconds: 60, command: 'save' },
    stop_grace_seconds: 30,
    time_limit_seconds: 5_400,
    queue_timeout_seconds: 21_600,
    max_price_per_hour_micros: '500000',
  });
});

test('what stands after -- is the exact command', async () => {
  const spec = await specFromFlags({ image: 'python:3.12' }, ['python', '-c', 'print("a b")']);
  expect(spec.command).toEqual(['python', '-c', 'print("a b")']);
  expect(spec.requirements.gpus).toBe(0);
});

test('asking for a kind of GPU is asking for one', async () => {
  expect((await specFromFlags({ image: 'x', gpu: ['A10'] }, [])).requirements.gpus).toBe(1);
  expect((await specFromFlags({ image: 'x', vram: '8GB' }, [])).requirements.gpus).toBe(1);
  expect((await specFromFlags({ image: 'x', vram: '8GB', gpus: '0' }, [])).requirements.gpus).toBe(0);
});

test('a file of variables: comments, quotes, export; --env wins', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'cfab-env-'));
  const file = join(dir, 'env');
  await writeFile(file, '# comment\n\nA=1\r\nexport B="x y"\nC=\'q"\nD=has#hash\n');
  const spec = await specFromFlags({ image: 'x', envFile: [file], env: ['A=2'] }, []);
  expect(spec.env).toEqual({ A: '2', B: 'x y', C: '\'q"', D: 'has#hash' });
  await writeFile(file, 'A=1\nsecret-without-a-name\n');
  const error = await refusal({ image: 'x', envFile: [file] });
  expect(error.message).toContain('line 2');
  expect(error.message).not.toContain('secret-without-a-name');
  await rm(dir, { recursive: true });
});

test.each<[string, SpecFlags, RegExp]>([
  ['no image', {}, /--image/],
  ['half a GPU', { image: 'x', gpus: '0.5' }, /--gpus "0.5" must be a whole number/],
  [
    'a range the wrong way round',
    { image: 'x', vram: '80GB..24GB' },
    /--vram "80GB\.\.24GB" must be a size or a range/,
  ],
  ['a share of two GPUs', { image: 'x', gpus: '2', gpuShare: '0.5' }, /--gpu-share/],
  ['a version that is none', { image: 'x', driver: 'new' }, /--driver "new" must be a version/],
  ['a region in capitals', { image: 'x', region: ['EU'] }, /--region/],
  ['an unknown end', { image: 'x', after: ['a:never'] }, /--after "a:never" must be JOB, JOB:success/],
  [
    'a checkpoint without a path',
    { image: 'x', checkpointEvery: '1m' },
    /--checkpoint must be an absolute path/,
  ],
  ['two classes', { image: 'x', spot: true, class: 'on-demand' }, /--spot and --class/],
  ['too long a time', { image: 'x', timeLimit: '99d' }, /--time-limit "99d" must be at most 7d/],
  ['a size without sense', { image: 'x', vram: 'big' }, /--vram "big"/],
  ['a duration without its unit', { image: 'x', timeLimit: '60' }, /--time-limit "60"/],
  ['a price in another form', { image: 'x', maxPrice: '1,5' }, /--max-price/],
  ['a variable without value', { image: 'x', env: ['TOKEN'] }, /--env must be NAME=VALUE/],
  ['negative cores', { image: 'x', cpus: '-1' }, /--cpus/],
])('%s is refused and the flag is named', async (_, flags, message) => {
  const error = await refusal(flags);
  expect(error.message).toMatch(message);
  expect(error.exitCode).toBe(2);
});

test('what the market would refuse is refused here, by the name of the flag', async () => {
  const error = await refusal({ image: '-bad', name: 'Not Good', gpus: '99', env: ['LD_PRELOAD=x'] });
  expect(error.facts.code).toBe('request/invalid');
  expect(error.exitCode).toBe(2);
  expect(error.facts.facts).toContainEqual(['--gpus', 'must be at most 8']);
  expect(error.facts.facts?.map(([label]) => label).toSorted()).toEqual([
    '--env',
    '--gpus',
    '--image',
    '--name',
  ]);
});

test('a share of a GPU is asked for by itself', async () => {
  const { requirements } = await specFromFlags({ image: 'x', gpuShare: '250m' }, []);
  expect(requirements).toMatchObject({ gpus: 1, gpu_milli: 250 });
});

test('two commands are one too many', async () => {
  expect((await refusal({ image: 'x', command: 'a' }, ['b'])).message).toContain('--command');
});
