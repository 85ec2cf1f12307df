import { readFile } from 'node:fs/promises';
import { parseUsd } from '@computefabric/protocol/money';
import { type JobSpec, type JobSpecInput, jobSpec } from '@computefabric/protocol/user-api/job-spec';
import type { z } from 'zod';
import { CliError, usageError } from '../errors/cli-error.ts';
import { describeField } from '../errors/describe-error.ts';
import { parseDuration } from '@computefabric/protocol/grammar/durations';
import { parseSizeMib } from '@computefabric/protocol/grammar/sizes';

/** Flags of `submit` that say what the job is. */
export interface SpecFlags {
  image?: string;
  command?: string;
  gpus?: string;
  gpu?: string[];
  vram?: string;
  cpus?: string;
  memory?: string;
  env?: string[];
  envFile?: string[];
  name?: string;
  timeLimit?: string;
  queue?: string;
  maxPrice?: string;
}

/**
 * The job that the flags describe, checked as the server will check it.
 *
 * @param argv what stood after `--`: the exact command
 * @throws CliError cli/usage that names the flag
 */
export async function specFromFlags(flags: SpecFlags, argv: readonly string[]): Promise<JobSpec> {
  if (flags.image === undefined) {
    throw usageError(
      '--image is missing: the container image to run',
      'such as --image pytorch/pytorch:latest',
    );
  }
  if (flags.command !== undefined && argv.length > 0) {
    throw usageError(
      'there are two commands: --command and what stands after --',
      '--command runs a line in a shell; after -- stands an exact list of arguments',
    );
  }
  const asksForGpu = flags.gpu !== undefined || flags.vram !== undefined;
  const input: JobSpecInput = {
    image: flags.image,
    command: flags.command ?? (argv.length > 0 ? [...argv] : null),
    env: await readEnv(flags),
    requirements: {
      // Asking for a kind of GPU is asking for one.
      gpus: flags.gpus === undefined ? (asksForGpu ? 1 : 0) : whole(flags.gpus, '--gpus'),
      gpu_models: (flags.gpu ?? []).flatMap((model) => model.split('|')).map((model) => model.trim()),
      ...(flags.vram === undefined ? {} : { min_vram_mib: sizeMib(flags.vram, '--vram') }),
      ...(flags.cpus === undefined ? {} : { cpus: decimal(flags.cpus, '--cpus') }),
      ...(flags.memory === undefined ? {} : { memory_mib: sizeMib(flags.memory, '--memory') }),
    },
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.timeLimit === undefined
      ? {}
      : { time_limit_seconds: seconds(flags.timeLimit, '--time-limit') }),
    ...(flags.queue === undefined ? {} : { queue_timeout_seconds: seconds(flags.queue, '--queue') }),
    ...(flags.maxPrice === undefined
      ? {}
      : { max_price_per_hour_micros: usdMicros(flags.maxPrice, '--max-price') }),
  };
  const parsed = jobSpec.safeParse(input);
  if (parsed.success) return parsed.data;
  const fields = parsed.error.issues.map((issue) => ({
    path: issue.path.join('.'),
    message: plainMessage(issue),
  }));
  throw new CliError({
    code: 'request/invalid',
    message: 'the job is not valid',
    facts: fields.map(describeField),
    exit: 'usage',
    fields,
    retry: 'never',
  });
}

/** Zod's own words where they are about code, in words about the job. */
function plainMessage(issue: z.core.$ZodIssue): string {
  if (issue.code === 'too_big' && issue.origin === 'number') return `must be at most ${issue.maximum}`;
  if (issue.code === 'too_small' && issue.origin === 'number') return `must be at least ${issue.minimum}`;
  if (issue.code === 'too_big' && issue.origin === 'array') return `must be at most ${issue.maximum} items`;
  return issue.message;
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
function splitPair(pair: string, source: string): [name: string, value: string] {
  const at = pair.indexOf('=');
  if (at < 1) throw usageError(`${source} must be NAME=VALUE`);
  return [pair.slice(0, at), pair.slice(at + 1)];
}

function unquote(value: string): string {
  const match = /^(["'])(.*)\1$/.exec(value);
  return match?.[2] ?? value;
}

export function seconds(text: string, flag: string): number {
  const value = parseDuration(text);
  if (value === null)
    throw usageError(`${flag} "${text}" is not a duration`, 'such as 90s, 10m, 1h30m or 2d');
  return value;
}

export function sizeMib(text: string, flag: string): number {
  const value = parseSizeMib(text);
  if (value === null) throw usageError(`${flag} "${text}" is not a size`, 'such as 24GB, 16GiB or 512MB');
  return value;
}

export function whole(text: string, flag: string, least = 0): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) < least) {
    throw usageError(`${flag} "${text}" is not a whole number of ${least} or more`);
  }
  return Number(text);
}

function decimal(text: string, flag: string): number {
  if (!/^\d{1,9}(?:\.\d+)?$/.test(text))
    throw usageError(`${flag} "${text}" is not a number`, 'such as 4 or 0.5');
  return Number(text);
}

function usdMicros(text: string, flag: string): string {
  const value = parseUsd(text);
  if (value === null) throw usageError(`${flag} "${text}" is not an amount in USD`, 'such as 0.50');
  return value.toString();
}
