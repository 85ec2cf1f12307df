import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createQuote } from '@computefabric/protocol/user-api/quotes';
import { jobFile, jobFileSchema } from '@computefabric/protocol/job-file/job-file';
import { sampleQuote } from '@computefabric/api-client/testing/sample-data';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { CliError } from '../errors/cli-error.ts';
import { jobFromFlags, type SpecFlags } from '../jobs/spec-from-flags.ts';
import { onlyJson, Workbench } from '../testing/run-cfab.ts';
import { jobFileTemplate } from './job-file-template.ts';
import { parseJobFile } from './parse-job-file.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

/** `line:column key message`, in the order of the file. */
function problemsOf(text: string): string[] {
  const parsed = parseJobFile(text);
  if (parsed.kind === 'job') return [];
  return parsed.problems.map(({ at, path, message }) =>
    [at ? `${at.line}:${at.column}` : '-', path, message].filter((part) => part !== '').join(' '),
  );
}

function jobOf(text: string) {
  const parsed = parseJobFile(text);
  if (parsed.kind === 'wrong') throw new Error(JSON.stringify(parsed.problems));
  return parsed;
}

describe('the text of a file', () => {
  test('values are what was written: versions keep their zeros, words their letters', () => {
    const { spec } = jobOf(
      'image: busybox\ngpu: [RTX 4090, A100]\nvram: 24GB..\ncompute_capability: 8.0\ndriver: 535.10\n' +
        'max_price: 0.50\ntime_limit: 2h\nenv:\n  VERSION: 1.10\n  ANSWER: no\n  EMPTY:\ndisconnect: {replace: false}\n',
    );
    expect(spec).toMatchObject({
      requirements: {
        gpus: 1,
        gpu_models: ['RTX 4090', 'A100'],
        min_compute_capability: '8.0',
        min_driver: '535.10',
      },
      max_price_per_hour_micros: '500000',
      time_limit_seconds: 7_200,
      env: { VERSION: '1.10', ANSWER: 'no', EMPTY: '' },
      disconnect: { replace: false },
    });
  });

  test('a command is a line or a list; anchors may be used', () => {
    expect(jobOf('image: x\ncommand: |\n  one\n  two\n').spec.command).toBe('one\ntwo\n');
    expect(jobOf('image: x\ncommand: [python, -c, "print(1)"]\n').spec.command).toEqual([
      'python',
      '-c',
      'print(1)',
    ]);
    expect(jobOf('image: &a x\nenv: {IMAGE: *a}\n').spec.env).toEqual({ IMAGE: 'x' });
  });

  test('shapes are handed over beside the job', () => {
    expect(jobOf('image: x\narray:\n  matrix: {lr: [0.1, 0.010]}\n  max_parallel: 3\n').array).toEqual({
      matrix: { lr: ['0.1', '0.010'] },
      max_parallel: 3,
    });
    expect(jobOf('image: x\nmachines: 4\n').machines).toBe(4);
  });

  test('every problem is told with its line and column and in the order of the file', () => {
    expect(
      problemsOf(
        'image: busybox\ncomand: echo\nvram: big\nretries:\n  max: 2\n  maxx: 1\nafter:\n  - a\n  - b:never\nenv:\n  1A: x\n',
      ),
    ).toEqual([
      '2:1 comand is not a known field; a similar one exists: command',
      '3:1 vram must be a size or a range such as 24GB.., 24GB..80GB or ..48GB',
      '6:3 retries.maxx is not a known field; a similar one exists: max',
      '9:5 after[1] must be JOB, JOB:success, JOB:any or JOB:failure',
      '11:3 env.1A is not a good name: it must be a variable name such as MODEL_PATH',
    ]);
  });

  test.each([
    ['', '1:1 the file is empty'],
    ['just words', '1:1 must be keys and values, such as image: busybox'],
    ['- image: x', '1:1 must be keys and values, such as image: busybox'],
    ['image: a\nimage: b\n', '2:1 this key is there already'],
    ['image: a\n---\nimage: b\n', '2:1 a file holds one job: leave out what comes after ---'],
    ['image:\n\t- x\n', '2:1 lines are indented with spaces, not with tabs'],
    ['image: [x\n', /^2:1 is not YAML: /],
    ['image: *none\n', '- names an anchor that is not there, or too many of them'],
    ['cpus: 1\n', '- image is missing; it must be a string'],
    ['image: x\ngpu: {a: b}\n', '2:1 gpu is of the wrong type'],
  ])('%j is refused in our own words', (text, expected) => {
    const [first = ''] = problemsOf(text);
    expect(first).toEqual(typeof expected === 'string' ? expected : expect.stringMatching(expected));
  });

  test('a small file that stands for a huge one is refused', () => {
    const level = (name: string, of: string) =>
      `${name}: &${name} [${Array(20).fill(`*${of}`).join(', ')}]\n`;
    const bomb = `a: &a [x]\n${level('b', 'a')}${level('c', 'b')}${level('d', 'c')}${level('e', 'd')}image: x\n`;
    expect(problemsOf(bomb)[0]).toContain('too many');
  });
});

describe('the file that init writes', () => {
  test('is a job as it is, and has every key as a comment that can be taken in', () => {
    const text = jobFileTemplate('python:3.12', 'http://market/schemas/computefabric.json');
    expect(jobOf(text).spec).toMatchObject({ image: 'python:3.12', command: 'echo hello' });
    expect(text.split('\n')[0]).toBe(
      '# yaml-language-server: $schema=http://market/schemas/computefabric.json',
    );
    const all = text
      .replaceAll(/^# (?=\s*[a-z_]+:(?!\/\/| Submit)| {2})/gm, '')
      .replace(/^yaml-lang.*$/m, '')
      .replace(/^machines:.*$/m, '');
    const parsed = parseJobFile(all);
    expect(parsed).toMatchObject({ kind: 'job' });
    for (const key of Object.keys(jobFile.shape)) expect(text).toMatch(new RegExp(`^(# )?${key}:`, 'm'));
  });
});

test('the published schema is the one that reads the file', async () => {
  const published = fileURLToPath(new URL('../../../../docs/computefabric.schema.json', import.meta.url));
  expect(
    JSON.parse(await readFile(published, 'utf8')),
    'write it again: npx cfab init --schema > docs/computefabric.schema.json',
  ).toEqual(jobFileSchema());
});

test('the example in the repository is a job', async () => {
  const example = fileURLToPath(new URL('../../../../examples/job-file/computefabric.yaml', import.meta.url));
  expect(jobOf(await readFile(example, 'utf8')).spec).toMatchObject({
    env: { EPOCHS: '3' },
    requirements: { gpus: 1, gpu_models: ['RTX 4090', 'A100'], min_vram_mib: 22_889 },
  });
});

describe('a file and flags', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cfab-file-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function fileWith(text: string): Promise<string> {
    const path = join(folder, 'job.yaml');
    await writeFile(path, text);
    return path;
  }

  async function refusal(flags: SpecFlags): Promise<CliError> {
    const thrown: unknown = await jobFromFlags(flags, []).catch((error: unknown) => error);
    if (thrown instanceof CliError) return thrown;
    throw new Error('should have been refused');
  }

  test('flags win over the file, and what stands after -- over its command', async () => {
    const file = await fileWith('image: a\ncommand: one\ncpus: 1\nenv: {A: 1, B: 2}\nretries: 3\n');
    const { spec } = await jobFromFlags({ file, cpus: '2', env: ['B=3'], retryOn: '1' }, ['two']);
    expect(spec).toMatchObject({
      image: 'a',
      command: ['two'],
      env: { A: '1', B: '3' },
      requirements: { cpus: 2 },
      retries: { max: 3, on_exit_codes: [1] },
    });
  });

  test('what is wrong is told at the flag or at the place in the file, whichever said it', async () => {
    const file = await fileWith('image: a\nvram: big\n');
    const inFile = await refusal({ file });
    expect(inFile.facts).toMatchObject({
      code: 'cli/job-file',
      exit: 'usage',
      facts: [[`${file}:2:1`, 'vram "big" must be a size or a range such as 24GB.., 24GB..80GB or ..48GB']],
    });
    expect((await refusal({ file, vram: 'huge' })).message).toContain('--vram "huge"');
    expect((await refusal({ file, cpus: 'x' })).facts.facts?.map(([label]) => label)).toEqual([
      `${file}:2:1`,
      '--cpus',
    ]);
  });

  test('values of variables are never said back', async () => {
    const file = await fileWith('image: a\nenv: {LD_PRELOAD: secret}\n');
    expect(JSON.stringify((await refusal({ file })).facts)).not.toContain('secret');
  });

  test('a file that is not there is told as that', async () => {
    await expect(jobFromFlags({ file: join(folder, 'none.yaml') }, [])).rejects.toThrow(/none\.yaml/);
  });
});

describe('in a folder with a job file', () => {
  let bench: Workbench;
  beforeAll(async () => {
    bench = await Workbench.open();
  });
  afterAll(() => bench.close());

  test('init writes it, once; submit reads it by itself, and says so', async () => {
    let asked: unknown;
    bench.market.on(createQuote, ({ body }) => {
      asked = body;
      return sampleQuote();
    });
    const init = await bench.run(['init', '--image', 'python:3.12']);
    expect(init).toMatchObject({ code: 0, stdout: 'computefabric.yaml\n' });
    const again = await bench.run(['init']);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('is there already');
    const plan = await bench.run(['submit', '--plan', '--cpus', '2']);
    expect(plan).toMatchObject({ code: 0 });
    expect(plan.stderr).toContain('Reading computefabric.yaml');
    expect(asked).toMatchObject({ image: 'python:3.12', command: 'echo hello', requirements: { cpus: 2 } });
    expect(await readFile(join(bench.home, 'computefabric.yaml'), 'utf8')).toContain(bench.market.url);
  });

  test('a mistake in it is told with file, line and column, in words and in JSON, and nothing is run', async () => {
    await writeFile(join(bench.home, 'bad.yaml'), 'image: x\ncomand: echo\n');
    const { code, stdout, stderr } = await bench.run(['submit', '--plan', '-f', 'bad.yaml']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/bad\.yaml:2:1 {2}comand is not a known field; a similar one exists: command/);
    const json = await bench.run(['submit', '--plan', '-f', 'bad.yaml', '--json']);
    expect(onlyJson(json.stderr)).toMatchObject({
      error: { code: 'cli/job-file', fields: [{ path: 'comand' }], cli_exit_code: 2 },
    });
  });
});
