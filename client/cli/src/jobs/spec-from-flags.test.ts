import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CliError } from '../errors/cli-error.ts';
import { type SpecFlags, specFromFlags } from './spec-from-flags.ts';

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
    vram: '24GB',
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
      cpus: 1.5,
      memory_mib: 4_096,
    },
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
  ['half a GPU', { image: 'x', gpus: '0.5' }, /--gpus/],
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

test('two commands are one too many', async () => {
  expect((await refusal({ image: 'x', command: 'a' }, ['b'])).message).toContain('--command');
});
