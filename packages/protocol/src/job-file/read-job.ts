import type { z } from 'zod';
import { formatSeconds } from '../grammar/durations.ts';
import { type FieldProblem, fieldProblems } from '../grammar/field-problems.ts';
import { formatAsked } from '../grammar/sizes.ts';
import { type JobSpecInput, jobSpec } from '../user-api/job-spec.ts';
import { type ArrayShapeInput, arrayShape, machinesShape } from '../user-api/shapes.ts';
import { type JobFile, jobFile, type JobWords } from './job-file.ts';

/** A job that was written, in the API's own form. */
export interface WrittenJob {
  spec: JobSpecInput;
  array?: ArrayShapeInput;
  machines?: number;
}

export type ReadJob =
  | { kind: 'job'; job: WrittenJob }
  /** Paths are those of the words, such as `vram`, `retries.max` or `env.PATH`. */
  | { kind: 'wrong'; problems: FieldProblem[] };

/**
 * Reads a job as people write it, and checks it as the server will. Every problem is told, at most one for each
 * key, in words that follow the key.
 */
export function readJob(words: unknown): ReadJob {
  const parsed = jobFile.safeParse(words);
  if (parsed.success) {
    const job = inTermsOfTheApi(parsed.data);
    const problems = firstOfEach(problemsOfSpec(job));
    return problems.length === 0 ? { kind: 'job', job } : { kind: 'wrong', problems };
  }
  const problems = fieldProblems(parsed.error.issues, jobFile).map(asStatement);
  // What is left when the wrong keys are taken out may be wrong in ways that only a whole job shows.
  const told = new Set(problems.map(({ path }) => keyOf(path)));
  if (typeof words !== 'object' || words === null || told.has('')) return { kind: 'wrong', problems };
  const rest = jobFile.safeParse({
    image: 'image',
    ...Object.fromEntries(Object.entries(words).filter(([key]) => !told.has(key))),
  });
  if (!rest.success) return { kind: 'wrong', problems };
  const more = problemsOfSpec(inTermsOfTheApi(rest.data)).filter(({ path }) => !told.has(keyOf(path)));
  return { kind: 'wrong', problems: firstOfEach([...problems, ...more]) };
}

function firstOfEach(problems: readonly FieldProblem[]): FieldProblem[] {
  const told = new Set<string>();
  return problems.filter(({ path }) => !told.has(path) && told.add(path));
}

/** Puts what is written later over what is written first: whole keys, and single ones of those that hold several. */
export function overlay(under: Partial<JobWords>, over: Partial<JobWords>): Partial<JobWords> {
  return {
    ...under,
    ...over,
    ...(under.env && over.env ? { env: { ...under.env, ...over.env } } : {}),
    ...(under.retries === undefined || over.retries === undefined
      ? {}
      : { retries: { ...retriesMap(under.retries), ...retriesMap(over.retries) } }),
    ...(under.disconnect && over.disconnect
      ? { disconnect: { ...under.disconnect, ...over.disconnect } }
      : {}),
    ...(under.array === undefined || over.array === undefined
      ? {}
      : { array: { ...arrayMap(under.array), ...arrayMap(over.array) } }),
    ...(under.checkpoint === undefined || over.checkpoint === undefined
      ? {}
      : { checkpoint: { ...checkpointMap(under.checkpoint), ...checkpointMap(over.checkpoint) } }),
  };
}

function retriesMap(retries: NonNullable<JobWords['retries']>) {
  return typeof retries === 'object' ? retries : { max: retries };
}

function arrayMap(array: NonNullable<JobWords['array']>) {
  return typeof array === 'object' ? array : { count: array };
}

function checkpointMap(
  checkpoint: NonNullable<Partial<JobWords>['checkpoint']>,
): Exclude<JobWords['checkpoint'], string | undefined> {
  return typeof checkpoint === 'object' ? checkpoint : { path: checkpoint };
}

/** Which key says a field of the API; the first that begins a path counts. */
const keyOfField: readonly (readonly [field: string, key: string])[] = [
  ['requirements.gpus', 'gpus'],
  ['requirements.gpu_models', 'gpu'],
  ['requirements.gpu_milli', 'gpu_share'],
  ['requirements.min_vram_mib', 'vram'],
  ['requirements.max_vram_mib', 'vram'],
  ['requirements.min_compute_capability', 'compute_capability'],
  ['requirements.min_driver', 'driver'],
  ['requirements.min_cuda', 'cuda'],
  ['requirements.cpus', 'cpus'],
  ['requirements.memory_mib', 'memory'],
  ['requirements.disk_mib', 'disk'],
  ['requirements.regions', 'region'],
  ['requirements.min_reliability', 'reliability'],
  ['requirements.min_tier', 'tier'],
  ['network.allow', 'network'],
  ['max_price_per_hour_micros', 'max_price'],
  ['max_cost_micros', 'max_cost'],
  ['time_limit_seconds', 'time_limit'],
  ['queue_timeout_seconds', 'queue'],
  ['retries.max', 'retries.max'],
  ['retries.on_exit_codes', 'retries.on'],
  ['retries.never_on_exit_codes', 'retries.never_on'],
  ['disconnect.lost_after_seconds', 'disconnect.lost_after'],
  ['disconnect.stop_after_seconds', 'disconnect.stop_after'],
  ['checkpoint.every_seconds', 'checkpoint.every'],
  ['stop_grace_seconds', 'stop_grace'],
];

/** The key, as people write it, of a field of the API: `vram` for `requirements.min_vram_mib`. */
export function writtenPath(field: string): string {
  const bare = field.replace(/^spec\./, '');
  const found = keyOfField.find(([name]) => isBelow(bare, name));
  return found ? found[1] + bare.slice(found[0].length) : bare;
}

function isBelow(path: string, parent: string): boolean {
  return path === parent || path.startsWith(`${parent}.`) || path.startsWith(`${parent}[`);
}

/** A problem that the API or its schema found, at the key that people know and in the units that they write. */
export function writtenProblem({ path, message }: FieldProblem): FieldProblem {
  return asStatement({ path: writtenPath(path), message: inUnits(path, message) });
}

function problemsOfSpec({ spec, array, machines }: WrittenJob): FieldProblem[] {
  return [
    ...problemsOf(jobSpec, spec, ''),
    ...(array === undefined ? [] : problemsOf(arrayShape, array, 'array')),
    ...(machines === undefined ? [] : problemsOf(machinesShape, machines, 'machines')),
    ...(array !== undefined && machines !== undefined
      ? [{ path: 'machines', message: 'must be left out where there is an array' }]
      : []),
  ].map(writtenProblem);
}

function problemsOf(schema: z.ZodType, value: unknown, at: string): FieldProblem[] {
  const parsed = schema.safeParse(value);
  if (parsed.success) return [];
  return fieldProblems(parsed.error.issues, schema).map(({ path, message }) => ({
    path: [at, path].filter((part) => part !== '').join('.'),
    message,
  }));
}

function inUnits(path: string, message: string): string {
  const format = path.endsWith('_seconds') ? formatSeconds : path.endsWith('_mib') ? formatAsked : null;
  if (format === null) return message;
  return message.replace(/^(must be (?:at most|at least|more than|less than) )(\d+)$/, (_, words, number) =>
    String(words).concat(format(Number(number))),
  );
}

/** The name that was probably meant is told, not asked for: nobody can answer. */
function asStatement({ path, message }: FieldProblem): FieldProblem {
  return { path, message: message.replace(/; did you mean (.+)\?$/, '; a similar one exists: $1') };
}

/** The key at the top to which a path belongs. */
function keyOf(path: string): string {
  return /^[^.[]*/.exec(path)?.[0] ?? '';
}

function inTermsOfTheApi(file: JobFile): WrittenJob {
  const { array } = file;
  return {
    spec: {
      ...given('name', file.name),
      image: file.image,
      ...given('command', file.command),
      ...given('env', file.env),
      requirements: requirementsOf(file),
      ...given('network', file.network),
      ...given('max_price_per_hour_micros', file.max_price),
      ...given('max_cost_micros', file.max_cost),
      ...given('on_limit', file.on_limit),
      ...given('class', file.class),
      ...given('priority', file.priority),
      ...given('time_limit_seconds', file.time_limit),
      ...given('queue_timeout_seconds', file.queue),
      ...(file.after === undefined ? {} : { after: Array.isArray(file.after) ? file.after : [file.after] }),
      ...(file.retries === undefined ? {} : { retries: retriesOf(file.retries) }),
      ...(file.disconnect === undefined ? {} : { disconnect: disconnectOf(file.disconnect) }),
      ...(file.checkpoint === undefined ? {} : { checkpoint: checkpointOf(file.checkpoint) }),
      ...given('stop_grace_seconds', file.stop_grace),
    },
    ...(array === undefined ? {} : { array: typeof array === 'number' ? { count: array } : arrayOf(array) }),
    ...given('machines', file.machines),
  };
}

/** Keys that are about GPUs: asking for a kind of GPU is asking for one. */
const gpuKeys = ['gpu', 'gpu_share', 'vram', 'compute_capability', 'driver', 'cuda'] as const;

function requirementsOf(file: JobFile): NonNullable<JobSpecInput['requirements']> {
  const asksForGpu = gpuKeys.some((key) => file[key] !== undefined);
  return {
    gpus: file.gpus ?? (asksForGpu ? 1 : 0),
    ...given('gpu_models', file.gpu),
    ...given('gpu_milli', file.gpu_share),
    ...(file.vram === undefined ? {} : { min_vram_mib: file.vram.fromMib, max_vram_mib: file.vram.toMib }),
    ...given('min_compute_capability', file.compute_capability),
    ...given('min_driver', file.driver),
    ...given('min_cuda', file.cuda),
    ...given('cpus', file.cpus),
    ...given('memory_mib', file.memory),
    ...given('disk_mib', file.disk),
    ...given('regions', file.region),
    ...given('min_reliability', file.reliability),
    ...given('min_tier', file.tier),
  };
}

function retriesOf(retries: NonNullable<JobFile['retries']>): NonNullable<JobSpecInput['retries']> {
  if (typeof retries === 'number') return { max: retries };
  return {
    ...given('max', retries.max),
    ...given('on_exit_codes', retries.on),
    ...given('never_on_exit_codes', retries.never_on),
  };
}

function disconnectOf(terms: NonNullable<JobFile['disconnect']>): NonNullable<JobSpecInput['disconnect']> {
  return {
    ...given('lost_after_seconds', terms.lost_after),
    ...given('stop_after_seconds', terms.stop_after),
    ...given('replace', terms.replace),
    ...given('keep', terms.keep),
  };
}

function checkpointOf(terms: NonNullable<JobFile['checkpoint']>): NonNullable<JobSpecInput['checkpoint']> {
  if (typeof terms === 'string') return { path: terms };
  return {
    path: terms.path ?? '',
    ...given('every_seconds', terms.every),
    ...given('command', terms.command),
  };
}

function arrayOf(array: Exclude<JobFile['array'], number | undefined>): ArrayShapeInput {
  return {
    ...given('count', array.count),
    ...given('matrix', array.matrix),
    ...given('max_parallel', array.max_parallel),
  };
}

/** A field when it was written, and none when it was not. */
function given<K extends string, V>(key: K, value: V | undefined): { [key in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [key in K]?: V };
}
