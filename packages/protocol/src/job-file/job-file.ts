import { z } from 'zod';
import { costLimitActions } from '../cost-limit.ts';
import { parseDuration } from '../grammar/durations.ts';
import { parseNetwork } from '../grammar/networks.ts';
import {
  parseDecimal,
  parseNames,
  parsePart,
  parseShareMilli,
  parseWhole,
  parseWholeList,
  parseYesNo,
} from '../grammar/quantities.ts';
import { parseSizeMib, parseSizeRange } from '../grammar/sizes.ts';
import { parseVersion } from '../grammar/versions.ts';
import { jobClasses } from '../job-class.ts';
import { parseUsd } from '../money.ts';
import type { JobNetwork } from '../network.ts';
import { trustTiers } from '../trust-tier.ts';
import { keepOnReturns } from '../user-api/run-terms.ts';

/*
 * A job as people write it: in `computefabric.yaml`, in flags of `cfab submit`, in the form of the dashboard. All
 * three are read by this schema, and the JSON schema for editors is made from it.
 */

/** A value on one line. YAML gives numbers for what looks like one; the grammar wants what was written. */
const scalar = z.union([z.string(), z.number(), z.boolean()]).transform(String);

/** A value on one line that one of the grammars reads. */
function written<T>(parse: (text: string) => T | null, must: string, examples: (string | number)[]) {
  return z
    .union([z.string(), z.number()])
    .meta({ examples })
    .transform((value, context): T => {
      const parsed = parse(String(value));
      if (parsed !== null) return parsed;
      context.addIssue({ code: 'custom', message: `must be ${must}` });
      return z.NEVER;
    });
}

const size = () => written(parseSizeMib, 'a size such as 24GB, 16GiB or 512MB', ['16GiB', '512MB']);
const duration = () =>
  written(parseDuration, 'a duration such as 90s, 10m, 1h30m or 2d', ['90s', '10m', '1h30m', '2d']);
const whole = () => written(parseWhole, 'a whole number such as 2', [2]);
const version = (example: string) =>
  written(
    (text) => (parseVersion(text) === null ? null : text.trim()),
    `a version of at most four numbers such as ${example}`,
    [example],
  );
const exitCodes = () =>
  z.union([
    z.array(whole()),
    written(parseWholeList, 'exit codes separated by commas such as 1,137', ['1,137']),
  ]);
const names = (examples: string[]) =>
  z.union([
    z.array(scalar),
    written(parseNames, `one or more names such as ${examples.at(-1) ?? ''}`, examples),
  ]);
const oneOf = <const T extends readonly [string, ...string[]]>(words: T) => z.enum(words);
const yesNo = () =>
  z.union([z.boolean(), z.string()]).transform((value, context): boolean => {
    const parsed = parseYesNo(String(value));
    if (parsed !== null) return parsed;
    context.addIssue({ code: 'custom', message: 'must be true or false' });
    return z.NEVER;
  });

const commandLine = z
  .union([z.string(), z.array(scalar)])
  .describe('A line for a shell, or a list: the exact arguments.');

const dependency = written(parseDependency, 'JOB, JOB:success, JOB:any or JOB:failure', [
  'prepare',
  'train:any',
]);

const retries = z.union([
  whole(),
  z.strictObject({
    max: whole().optional().describe('Further tries after the program failed.'),
    on: exitCodes().optional().describe('Only these exit codes are tried again.'),
    never_on: exitCodes().optional().describe('These exit codes end the job at once.'),
  }),
]);

const disconnect = z.strictObject({
  lost_after: duration().optional().describe('A silent machine counts as alive for this long.'),
  stop_after: duration()
    .optional()
    .describe('Cut off for this long, the machine stops the program by itself.'),
  replace: yesNo().optional().describe('Start a replacement when the machine counts as lost.'),
  keep: oneOf(keepOnReturns)
    .optional()
    .describe('Which try goes on when the machine returns after a replacement has started.'),
});

const checkpoint = z.union([
  z.string(),
  z.strictObject({
    // May come from a flag while the rest is in the file: that there is one is checked when both are together.
    path: scalar.optional().describe('The directory in the container that holds the state.'),
    every: duration().optional().describe('How often it is saved while the program runs.'),
    command: commandLine.optional().describe('Run in the container before each save.'),
  }),
]);

const array = z.strictObject({
  count: whole().optional().describe('Members, numbered from 0 in COMPUTEFABRIC_ARRAY_INDEX.'),
  matrix: z
    .record(z.string(), z.array(scalar))
    .optional()
    .describe('Values of each variable: one member for each combination.'),
  max_parallel: whole().optional().describe('Members that run at the same time.'),
});

export const jobFile = z
  .strictObject({
    name: scalar.optional().describe('Unique in your account; given by the server when absent.'),
    image: z.string().describe('Container image to run, such as pytorch/pytorch:latest.'),
    command: commandLine.optional(),
    env: z.record(z.string(), scalar).optional().describe('Variables for the program.'),

    gpus: whole()
      .optional()
      .describe('GPUs on one machine; 1 when anything about GPUs is asked for, else 0.'),
    gpu: names(['RTX 4090', 'RTX 4090|A100']).optional().describe('Models of GPU of which any will do.'),
    gpu_share: written(parseShareMilli, 'a share of one GPU such as 0.25, 25% or 250m', [0.25, '250m'])
      .optional()
      .describe('A share of one GPU, where its owner allows sharing.'),
    vram: written(parseSizeRange, 'a size or a range such as 24GB.., 24GB..80GB or ..48GB', [
      '24GB..',
      '24GB..80GB',
      '..48GB',
    ])
      .optional()
      .describe('Memory of each GPU. GB is 10^9, GiB is 2^30; a plain number is GB. 24GB is 24GB or more.'),
    compute_capability: version('8.0').optional().describe('Lowest CUDA compute capability of each GPU.'),
    driver: version('535.104').optional().describe('Lowest version of the GPU driver.'),
    cuda: version('12.2').optional().describe('Lowest CUDA version that the driver supports.'),
    cpus: written(parseDecimal, 'a number such as 4 or 0.5', [4, 0.5]).optional().describe('CPU cores.'),
    memory: size().optional().describe('Main memory.'),
    disk: size().optional().describe('Free disk.'),

    region: names(['eu-west', 'eu-west|us-east']).optional().describe('Regions of which any will do.'),
    reliability: written(parsePart, 'a part of all tries such as 0.95 or 95%', ['95%'])
      .optional()
      .describe('Least share of its tries that the machine brought to their end.'),
    tier: oneOf(trustTiers).optional().describe('How far the operator must vouch for the machine.'),

    network: z
      .union([
        z.array(scalar).transform((allow): JobNetwork => ({ mode: 'allowlist', allow })),
        written(parseNetwork, 'internet, none or servers such as pypi.org', ['none', 'pypi.org, *.pypi.org']),
      ])
      .optional()
      .describe('What the program may reach: internet, none, or only these servers.'),

    max_price: written(parseUsd, 'an amount in USD such as 0.50', ['0.50'])
      .transform(String)
      .optional()
      .describe('Highest price per GPU-hour, per core-hour for CPU jobs.'),
    max_cost: written(parseUsd, 'an amount in USD such as 0.10', ['0.10'])
      .transform(String)
      .optional()
      .describe('The job is stopped before it costs more, in USD; only this much is reserved.'),
    on_limit: oneOf(costLimitActions)
      .optional()
      .describe('checkpoint: stopped with grace time and state saved inside max_cost; stop: killed at it.'),
    class: oneOf(jobClasses).optional().describe('spot is cheaper and may have to give way, after a notice.'),
    priority: whole().optional().describe('0 to 100; among your own jobs the higher one goes first.'),
    time_limit: duration().optional().describe('A try of the program is stopped after running this long.'),
    queue: duration().optional().describe('Give up when no machine was found for this long.'),
    after: z
      .union([z.array(dependency), dependency])
      .optional()
      .describe('Jobs that must have ended first: JOB, JOB:success, JOB:any or JOB:failure.'),

    retries: retries.optional().describe('What happens after the program itself failed.'),
    disconnect: disconnect.optional().describe('What happens while the machine of the job is silent.'),
    checkpoint: checkpoint.optional().describe('State that outlives a machine.'),
    stop_grace: duration().optional().describe('Between the request to stop (SIGTERM) and the kill.'),

    array: z.union([whole(), array]).optional().describe('The same job many times.'),
    machines: whole().optional().describe('One job on this many machines at the same time: all or none.'),
  })
  .meta({
    title: 'ComputeFabric job',
    description: 'A job for ComputeFabric, submitted with: cfab submit -f computefabric.yaml',
  });

/** What is written, before it is read. */
export type JobWords = z.input<typeof jobFile>;
/** What it says. */
export type JobFile = z.output<typeof jobFile>;

/** The schema for editors, as JSON Schema draft 7: what they understand best. */
export function jobFileSchema(): object {
  return z.toJSONSchema(jobFile, { io: 'input', target: 'draft-7' });
}

const ends = ['success', 'any', 'failure'] as const;

/** `JOB` or `JOB:end`; null when it is neither. */
export function parseDependency(text: string): { job: string; when: (typeof ends)[number] } | null {
  const [job = '', end, ...rest] = text.trim().split(':');
  const when = end === undefined ? 'success' : ends.find((known) => known === end);
  return job === '' || when === undefined || rest.length > 0 ? null : { job, when };
}

/** A dependency as it can be typed again. */
export function formatDependency({ job, when }: { job: string; when: string }): string {
  return when === 'success' ? job : `${job}:${when}`;
}
