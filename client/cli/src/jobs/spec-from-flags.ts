import { access, readFile } from 'node:fs/promises';
import type { JobWords } from '@computefabric/protocol/job-file/job-file';
import { overlay, readJob, type WrittenJob } from '@computefabric/protocol/job-file/read-job';
import { type JobSpec, jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { CliError, usageError } from '../errors/cli-error.ts';
import { type FileProblem, type JobFileWords, readJobFile } from '../job-file/parse-job-file.ts';
import { flagOfKey } from './spec-flags.ts';

/** Flags of `submit` that say what the job is. */
export interface SpecFlags {
  file?: string;
  image?: string;
  command?: string;
  gpus?: string;
  gpu?: string[];
  gpuShare?: string;
  vram?: string;
  computeCapability?: string;
  driver?: string;
  cuda?: string;
  cpus?: string;
  memory?: string;
  disk?: string;
  region?: string[];
  reliability?: string;
  tier?: string;
  network?: string[];
  env?: string[];
  envFile?: string[];
  name?: string;
  timeLimit?: string;
  queue?: string;
  maxPrice?: string;
  maxCost?: string;
  onLimit?: string;
  class?: string;
  spot?: boolean;
  priority?: string;
  after?: string[];
  retries?: string;
  retryOn?: string;
  neverRetryOn?: string;
  lostAfter?: string;
  stopAfter?: string;
  /** False with `--no-replace`. */
  replace?: boolean;
  keep?: string;
  checkpoint?: string;
  checkpointEvery?: string;
  checkpointCommand?: string;
  stopGrace?: string;
  array?: string;
  matrix?: string[];
  maxParallel?: string;
  machines?: string;
}

/** The file that is read when no flag says what to run. */
export const jobFileName = 'computefabric.yaml';

/** A job that was written, checked as the server will check it. */
export interface CheckedJob extends WrittenJob {
  spec: JobSpec;
  /** The file that a part of it comes from; null when all is from flags. */
  file: string | null;
}

/**
 * The job that a file and the flags describe. Flags win over the file.
 *
 * @param argv what stood after `--`: the exact command
 * @throws CliError that names the flag, or the place in the file
 */
export async function jobFromFlags(flags: SpecFlags, argv: readonly string[]): Promise<CheckedJob> {
  if (flags.command !== undefined && argv.length > 0) {
    throw usageError(
      'there are two commands: --command and what stands after --',
      '--command runs a line in a shell; after -- stands an exact list of arguments',
    );
  }
  const fromFlags = await wordsOf(flags, argv);
  const path = flags.file ?? (flags.image === undefined && (await exists(jobFileName)) ? jobFileName : null);
  const file = path === null ? null : await readWords(path);
  const words = file === null ? fromFlags : overlay(file.words, fromFlags);
  if (path === null && words.image === undefined) {
    throw usageError(
      '--image is missing: the container image to run',
      'such as --image pytorch/pytorch:latest',
      `or write the job to ${jobFileName}: cfab init`,
    );
  }
  const read = readJob(words);
  if (read.kind === 'wrong') throw notValid(read.problems, fromFlags, words, path, file);
  return { ...read.job, spec: jobSpec.parse(read.job.spec), file: path };
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false, // absent, or not to be read: then --image is asked for
  );
}

async function readWords(path: string): Promise<JobFileWords> {
  const file = readJobFile(await readFile(path, 'utf8'));
  if (file.kind === 'words') return file;
  throw fileError(path, file.problems);
}

/** A file that cannot be read as a job: each problem with its place. */
function fileError(path: string, problems: readonly FileProblem[]): CliError {
  return new CliError({
    code: 'cli/job-file',
    message: `${path} is not a valid job`,
    facts: problems.map(({ at, path: key, message }) => [
      at === null ? path : `${path}:${at.line}:${at.column}`,
      [key, message].filter((part) => part !== '').join(' '),
    ]),
    help: ['all keys:   cfab help job-file'],
    exit: 'usage',
    fields: problems.map(({ path: key, message }) => ({ path: key, message })),
    retry: 'never',
  });
}

function notValid(
  problems: readonly { path: string; message: string }[],
  fromFlags: Partial<JobWords>,
  words: Partial<JobWords>,
  path: string | null,
  file: JobFileWords | null,
): CliError {
  const told = problems.map((problem) => {
    const flag = at(fromFlags, problem.path) === undefined ? null : flagOfKey(problem.path);
    const shown = echo(problem.path, at(words, problem.path), problem.message);
    return { ...problem, flag, shown, at: file?.locate(problem.path) ?? null };
  });
  if (path !== null && told.every(({ flag }) => flag === null)) {
    return fileError(
      path,
      told.map((problem) => ({ ...problem, message: problem.shown })),
    );
  }
  const [only] = told;
  const isOne = told.length === 1 && only !== undefined;
  return new CliError({
    code: isOne ? 'cli/usage' : 'request/invalid',
    message: isOne
      ? `${only.flag ?? flagOfKey(only.path) ?? only.path} ${only.shown}`
      : 'the job is not valid',
    facts: isOne
      ? []
      : told.map(({ flag, path: key, at: place, message }): [string, string] =>
          flag === null && place !== null
            ? [`${path}:${place.line}:${place.column}`, `${key} ${message}`]
            : [flag ?? flagOfKey(key) ?? key, message],
        ),
    help: isOne ? [] : ['what each flag takes:   cfab submit --help'],
    exit: 'usage',
    fields: problems.map(({ path: key, message }) => ({ path: key, message })),
    retry: 'never',
  });
}

/** Longest value that is said back. */
const echoedChars = 60;

/** What was written before what it must be; never of variables, which may be secrets. */
function echo(path: string, value: unknown, message: string): string {
  const isPlain = typeof value === 'string' || typeof value === 'number';
  if (!isPlain || path.startsWith('env') || !message.startsWith('must be')) return message;
  const text = String(value);
  return text.length <= echoedChars ? `"${text}" ${message}` : message;
}

/** The value at a path such as `retries.max` or `after[0]`. */
function at(words: Partial<JobWords>, path: string): unknown {
  let value: unknown = words;
  for (const key of path.split(/[.[]/)) {
    if (key === '') continue;
    // A short form, such as a number of retries, stands for what is below it.
    if (typeof value !== 'object' || value === null) return value;
    value = Object.entries(value).find(([name]) => name === key.replace(/\]$/, ''))?.[1];
  }
  return value;
}

async function wordsOf(flags: SpecFlags, argv: readonly string[]): Promise<Partial<JobWords>> {
  if (flags.spot && flags.class !== undefined && flags.class !== 'spot') {
    throw usageError(`--spot and --class ${flags.class} say different things`);
  }
  const env = await readEnv(flags);
  const replace = flags.replace === false ? false : undefined;
  const text: Record<string, unknown> = {
    name: flags.name,
    image: flags.image,
    command: flags.command ?? (argv.length > 0 ? [...argv] : undefined),
    env: Object.keys(env).length > 0 ? env : undefined,
    gpus: flags.gpus,
    gpu: flags.gpu?.join('|'),
    gpu_share: flags.gpuShare,
    vram: flags.vram,
    compute_capability: flags.computeCapability,
    driver: flags.driver,
    cuda: flags.cuda,
    cpus: flags.cpus,
    memory: flags.memory,
    disk: flags.disk,
    region: flags.region?.join('|'),
    reliability: flags.reliability,
    tier: flags.tier,
    network: flags.network?.join(','),
    max_price: flags.maxPrice,
    max_cost: flags.maxCost,
    on_limit: flags.onLimit,
    class: flags.spot ? 'spot' : flags.class,
    priority: flags.priority,
    time_limit: flags.timeLimit,
    queue: flags.queue,
    after: flags.after,
    retries: some({ max: flags.retries, on: flags.retryOn, never_on: flags.neverRetryOn }),
    disconnect: some({
      lost_after: flags.lostAfter,
      stop_after: flags.stopAfter,
      replace,
      keep: flags.keep,
    }),
    checkpoint: some({
      path: flags.checkpoint,
      every: flags.checkpointEvery,
      command: flags.checkpointCommand,
    }),
    stop_grace: flags.stopGrace,
    array: some({
      count: flags.array,
      matrix: flags.matrix === undefined ? undefined : matrixOf(flags.matrix),
      max_parallel: flags.maxParallel,
    }),
    machines: flags.machines,
  } satisfies { [key in keyof JobWords]?: unknown };
  return some(text) ?? {};
}

/** `lr=0.1,0.01` as the values of a variable. */
function matrixOf(pairs: readonly string[]): Record<string, string[]> {
  const matrix: Record<string, string[]> = {};
  for (const pair of pairs) {
    const [name, values] = splitPair(pair, '--matrix', 'NAME=VALUE,VALUE');
    if (Object.hasOwn(matrix, name))
      throw usageError(`--matrix ${name} is there twice`, 'put all values in one');
    matrix[name] = values.split(',');
  }
  return matrix;
}

/** Without what is not there; undefined when nothing is left. */
function some(values: Record<string, unknown>): Record<string, never> | undefined {
  const there = Object.entries(values).filter(([, value]) => value !== undefined);
  return there.length === 0 ? undefined : (Object.fromEntries(there) as Record<string, never>);
}

/** `--env-file` first, so that `--env` wins. */
async function readEnv(flags: SpecFlags): Promise<Record<string, string>> {
  const env: Record<string, string> = {};
  for (const path of flags.envFile ?? []) {
    const text = await readFile(path, 'utf8');
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      const content = line.trim();
      if (content === '' || content.startsWith('#')) continue;
      const [name, value] = splitPair(content.replace(/^export\s+/, ''), `${path}, line ${index + 1},`);
      env[name] = unquote(value);
    }
  }
  for (const pair of flags.env ?? []) {
    const [name, value] = splitPair(pair, '--env');
    env[name] = value;
  }
  return env;
}

/** At the first `=`: values may hold more of them. The value is not repeated in the error, it may be a secret. */
function splitPair(pair: string, source: string, form = 'NAME=VALUE'): [name: string, value: string] {
  const sign = pair.indexOf('=');
  if (sign < 1) throw usageError(`${source} must be ${form}`);
  return [pair.slice(0, sign), pair.slice(sign + 1)];
}

function unquote(value: string): string {
  const match = /^(["'])(.*)\1$/.exec(value);
  return match?.[2] ?? value;
}
