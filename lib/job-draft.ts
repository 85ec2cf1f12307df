import { readJob, writtenProblem } from '@computefabric/protocol/job-file/read-job';
import type { JobSpecInput } from '@computefabric/protocol/user-api/job-spec';
import type { DraftErrors, JobDraft, JobDraftField } from '../types/job-draft.ts';
import { draftFields, listOf } from './job-draft-fields.ts';

/** A problem as the API gives it: a path into the job spec and what to write instead. */
interface SpecProblem {
  path: string;
  message: string;
}

export type ParsedDraft = { kind: 'spec'; spec: JobSpecInput } | { kind: 'wrong'; errors: DraftErrors };

/** Turns the form into a job spec, or says for each field what is wrong with it, in the words of the command line. */
export function parseDraft(draft: JobDraft): ParsedDraft {
  const env = parseEnv(draft.env);
  const read = readJob(wordsOf(draft, env.values));
  const errors: DraftErrors = read.kind === 'wrong' ? atFields(read.problems) : {};
  if (env.problem) errors.env = env.problem;
  if (read.kind === 'wrong' || Object.keys(errors).length > 0) return { kind: 'wrong', errors };
  return { kind: 'spec', spec: read.job.spec };
}

/** Problems that the server found, put at the form's fields; the first of each field. */
export function draftErrors(problems: readonly SpecProblem[]): DraftErrors {
  return atFields(problems.map(writtenProblem));
}

/** The form as a job is written; empty fields say nothing. */
function wordsOf(draft: JobDraft, env: Record<string, string>): object {
  const words: Record<string, unknown> = { env };
  const groups: Record<string, Record<string, unknown>> = {};
  for (const { field, key, aboutGpus } of draftFields) {
    const text = draft[field].trim();
    if (text === '' || field === 'env' || (aboutGpus && draft.gpus.trim() === '0')) continue;
    const value = field === 'after' ? listOf(text) : text;
    const [name = '', inner] = key.split('.');
    if (inner === undefined) words[name] = value;
    else groups[name] = { ...groups[name], [inner]: value };
  }
  return { image: '', ...words, ...groups };
}

function atFields(problems: readonly SpecProblem[]): DraftErrors {
  const errors: DraftErrors = {};
  for (const { path, message } of problems) {
    const field = fieldOf(path);
    if (field) errors[field] ??= sentence(message);
    else errors.form ??= path === '' ? message : `${path}: ${message}`;
  }
  return errors;
}

function fieldOf(path: string): JobDraftField | null {
  const below = (parent: string) =>
    path === parent || path.startsWith(`${parent}.`) || path.startsWith(`${parent}[`);
  // A whole group that is wrong is told at its first field.
  const found =
    draftFields.find(({ key }) => below(key)) ?? draftFields.find(({ key }) => key.startsWith(`${path}.`));
  return found?.field ?? null;
}

/** "must not be empty" → "Must not be empty." */
function sentence(message: string): string {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
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
