import { readJob, type WrittenJob, writtenProblem } from '@computefabric/protocol/job-file/read-job';
import { groupSpec } from '@computefabric/protocol/user-api/groups';
import { arrayShape, memberCount } from '@computefabric/protocol/user-api/shapes';
import type { DraftErrors, JobDraft, JobDraftField } from '../types/job-draft.ts';
import { draftFields, listOf, pairsOf } from './job-draft-fields.ts';

/** A problem as the API gives it: a path into the job spec and what to write instead. */
interface SpecProblem {
  path: string;
  message: string;
}

export type ParsedDraft = { kind: 'job'; job: WrittenJob } | { kind: 'wrong'; errors: DraftErrors };

/** Turns the form into a job, or many, or says for each field what is wrong with it, in the words of the command line. */
export function parseDraft(draft: JobDraft): ParsedDraft {
  const env = pairsOf(draft.env);
  const matrix = pairsOf(draft.matrix);
  const lists = matrix.pairs.map(([name, values]) => [name, listOf(values)] as const);
  const read = readJob(wordsOf(draft, Object.fromEntries(env.pairs), Object.fromEntries(lists)));
  const errors: DraftErrors = atFields(read.kind === 'wrong' ? read.problems : problemsOfGroup(read.job));
  if (env.problem) errors.env = env.problem;
  if (matrix.problem) errors.matrix = matrix.problem;
  if (read.kind === 'wrong' || Object.keys(errors).length > 0) return { kind: 'wrong', errors };
  return { kind: 'job', job: read.job };
}

/** How many jobs are submitted: members of an array, ranks on machines, or one. */
export function jobCount({ array, machines }: WrittenJob): number {
  if (array === undefined) return machines ?? 1;
  return memberCount(arrayShape.parse(array));
}

/** What only all of it together shows, such as a variable that is in the environment and in the sweep. */
function problemsOfGroup({ spec, array, machines }: WrittenJob): SpecProblem[] {
  if (array === undefined && machines === undefined) return [];
  const parsed = groupSpec.safeParse({ spec, ...(array && { array }), ...(machines && { machines }) });
  if (parsed.success) return [];
  return parsed.error.issues.map(({ path, message }) => writtenProblem({ path: path.join('.'), message }));
}

/** Problems that the server found, put at the form's fields; the first of each field. */
export function draftErrors(problems: readonly SpecProblem[]): DraftErrors {
  return atFields(problems.map(writtenProblem));
}

/** The form as a job is written; empty fields say nothing. */
function wordsOf(
  draft: JobDraft,
  env: Record<string, string>,
  matrix: Record<string, readonly string[]>,
): object {
  const words: Record<string, unknown> = { env };
  const groups: Record<string, Record<string, unknown>> = {};
  for (const { field, key, aboutGpus } of draftFields) {
    const text = draft[field].trim();
    if (text === '' || field === 'env' || (aboutGpus && draft.gpus.trim() === '0')) continue;
    const value = field === 'after' ? listOf(text) : field === 'matrix' ? matrix : text;
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
