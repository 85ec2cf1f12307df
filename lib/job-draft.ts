import { parseUsd } from '@computefabric/protocol/money';
import { jobSpec, type JobSpecInput } from '@computefabric/protocol/user-api/job-spec';
import type { DraftErrors, JobDraft, JobDraftField } from '../types/job-draft.ts';
import { gigabytesToMib } from './format-size.ts';

/** A problem as the API and the schema give it: a path into the job spec and what to write instead. */
interface SpecProblem {
  path: string;
  message: string;
}

export type ParsedDraft = { kind: 'spec'; spec: JobSpecInput } | { kind: 'wrong'; errors: DraftErrors };

/** Turns the form into a job spec, or says for each field what is wrong with it. */
export function parseDraft(draft: JobDraft): ParsedDraft {
  const errors: DraftErrors = {};
  const note = (field: JobDraftField, message: string) => {
    errors[field] ??= message;
    return undefined;
  };
  const gpus = wholeNumber(draft.gpus) ?? note('gpus', 'Write a whole number, such as 1.');
  const cpus = positiveNumber(draft.cpus) ?? note('cpus', 'Write a number of cores, such as 2 or 0.5.');
  const memoryGb = positiveNumber(draft.memoryGb) ?? note('memoryGb', 'Write gigabytes, such as 4.');
  const minVramGb = draft.minVramGb.trim() === '' ? 0 : positiveNumber(draft.minVramGb);
  if (minVramGb === undefined) note('minVramGb', 'Write gigabytes, such as 24, or leave it empty.');
  const timeLimit = positiveNumber(draft.timeLimit) ?? note('timeLimit', 'Write a number, such as 30.');
  const maxPrice = draft.maxPrice.trim() === '' ? null : parseUsd(draft.maxPrice);
  if (maxPrice === null && draft.maxPrice.trim() !== '') {
    note('maxPrice', 'Write dollars per hour, such as 0.40, or leave it empty.');
  }
  const env = parseEnv(draft.env);
  if (env.problem) note('env', env.problem);

  const spec = {
    name: draft.name.trim() === '' ? undefined : draft.name.trim(),
    image: draft.image.trim(),
    command: draft.command.trim() === '' ? null : draft.command.trim(),
    env: env.values,
    requirements: {
      gpus: gpus ?? 0,
      // A model or a size makes no sense without a GPU; the fields are hidden then, so they are not sent.
      gpu_models: gpus === 0 ? [] : listOf(draft.gpuModels),
      min_vram_mib: gpus === 0 ? 0 : gigabytesToMib(minVramGb ?? 0),
      cpus: cpus ?? 1,
      memory_mib: gigabytesToMib(memoryGb ?? 1),
    },
    time_limit_seconds: Math.round((timeLimit ?? 1) * (draft.timeLimitUnit === 'hours' ? 3_600 : 60)),
    max_price_per_hour_micros: maxPrice === null ? null : maxPrice.toString(),
  };
  const checked = jobSpec.safeParse(spec);
  if (!checked.success) {
    const problems = checked.error.issues.map((issue) => ({
      path: issue.path.join('.'),
      message: issue.message,
    }));
    return { kind: 'wrong', errors: { ...draftErrors(problems), ...errors } };
  }
  return Object.keys(errors).length > 0 ? { kind: 'wrong', errors } : { kind: 'spec', spec };
}

/** Problems of a job spec, put at the form's fields; the first of each field. */
export function draftErrors(problems: readonly SpecProblem[]): DraftErrors {
  const errors: DraftErrors = {};
  for (const { path, message } of problems) {
    const field =
      fieldsByPath.find(([prefix]) => path === prefix || path.startsWith(`${prefix}.`))?.[1] ?? 'form';
    errors[field] ??= field === 'form' && path !== '' ? `${path}: ${message}` : sentence(message);
  }
  return errors;
}

const fieldsByPath: readonly (readonly [string, JobDraftField])[] = [
  ['name', 'name'],
  ['image', 'image'],
  ['command', 'command'],
  ['env', 'env'],
  ['requirements.gpus', 'gpus'],
  ['requirements.gpu_models', 'gpuModels'],
  ['requirements.min_vram_mib', 'minVramGb'],
  ['requirements.cpus', 'cpus'],
  ['requirements.memory_mib', 'memoryGb'],
  ['time_limit_seconds', 'timeLimit'],
  ['max_price_per_hour_micros', 'maxPrice'],
];

/** "must not be empty" → "Must not be empty." */
function sentence(message: string): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function wholeNumber(text: string): number | undefined {
  return /^\d{1,6}$/.test(text.trim()) ? Number(text) : undefined;
}

function positiveNumber(text: string): number | undefined {
  return /^(\d{1,9}(\.\d{1,6})?|\.\d{1,6})$/.test(text.trim()) && Number(text) > 0 ? Number(text) : undefined;
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

function parseEnv(text: string): { values: Record<string, string>; problem: string | null } {
  const values: Record<string, string> = {};
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (line.trim() === '') continue;
    // Only the first equals sign divides: values may hold more of them.
    const at = line.indexOf('=');
    if (at <= 0) return { values, problem: `Line ${index + 1} is not NAME=value.` };
    const name = line.slice(0, at).trim();
    if (Object.hasOwn(values, name))
      return { values, problem: `Line ${index + 1} sets ${name} a second time.` };
    values[name] = line.slice(at + 1);
  }
  return { values, problem: null };
}
