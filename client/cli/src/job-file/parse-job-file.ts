import type { JobWords } from '@computefabric/protocol/job-file/job-file';
import { readJob, type WrittenJob } from '@computefabric/protocol/job-file/read-job';
import { type Document, isMap, LineCounter, type Node, parseDocument } from 'yaml';

/** What is wrong in a file, and where: both counted from 1; null when it is about the file as a whole. */
export interface FileProblem {
  at: { line: number; column: number } | null;
  /** The key, such as `retries.max`; empty when the text is no YAML. */
  path: string;
  message: string;
}

export type ParsedJobFile =
  | ({ kind: 'job' } & WrittenJob)
  /** In the order of the file. */
  | { kind: 'wrong'; problems: FileProblem[] };

/** A job from the text of a `computefabric.yaml`, or everything that is wrong with it. */
export function parseJobFile(text: string): ParsedJobFile {
  const file = readJobFile(text);
  if (file.kind === 'wrong') return file;
  const read = readJob(file.words);
  if (read.kind === 'job') return { kind: 'job', ...read.job };
  const problems = read.problems.map((problem) => ({ ...problem, at: file.locate(problem.path) }));
  return { kind: 'wrong', problems: problems.toSorted(inOrder) };
}

/** What a file says, not yet read as a job: flags may still be put over it. */
export interface JobFileWords {
  kind: 'words';
  words: Partial<JobWords>;
  /** Where a key is, or the nearest one above it that is there. */
  locate(path: string): FileProblem['at'];
}

/**
 * The keys and values of a file. Every value stays the text that was written: `8.0` is a version and no number,
 * `no` is a word.
 */
export function readJobFile(text: string): JobFileWords | { kind: 'wrong'; problems: FileProblem[] } {
  const lines = new LineCounter();
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: lines, prettyErrors: false });
  const positionOf = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  const broken = [...document.errors, ...document.warnings].map((error) => ({
    at: positionOf(error.pos[0]),
    path: '',
    message: plainWords(error.code, error.message),
  }));
  if (broken.length > 0) return { kind: 'wrong', problems: broken };
  if (!isMap(document.contents)) return { kind: 'wrong', problems: [noMap(text)] };
  const words = valuesOf(document);
  if (words === null) {
    const message = 'names an anchor that is not there, or too many of them';
    return { kind: 'wrong', problems: [{ at: null, path: '', message }] };
  }
  return { kind: 'words', words, locate: (path) => locate(document, path, positionOf) };
}

/** Aliases that a file may follow: a job has no use for more, and a small file could name millions. */
const mostAliases = 100;

function valuesOf(document: Document): Partial<JobWords> | null {
  try {
    // Checked by the schema of a job before anybody relies on it.
    return document.toJS({ maxAliasCount: mostAliases }) as Partial<JobWords>;
  } catch (thrown) {
    if (thrown instanceof ReferenceError) return null;
    throw thrown;
  }
}

function noMap(text: string): FileProblem {
  const message =
    text.trim() === '' ? 'the file is empty' : 'must be keys and values, such as image: busybox';
  return { at: { line: 1, column: 1 }, path: '', message };
}

function plainWords(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key is there already';
  if (code === 'MULTIPLE_DOCS') return 'a file holds one job: leave out what comes after ---';
  if (code === 'TAB_AS_INDENT') return 'lines are indented with spaces, not with tabs';
  return `is not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

/** A value's place; for a key that is not known, the place of the key. */
function locate(
  document: Document,
  path: string,
  positionOf: (offset: number) => { line: number; column: number },
): FileProblem['at'] {
  const keys = path
    .split(/[.[]/)
    .filter((key) => key !== '')
    .map((key) => (/^\d+\]$/.test(key) ? Number.parseInt(key, 10) : key));
  for (let depth = keys.length; depth > 0; depth -= 1) {
    const parent = depth === 1 ? document.contents : document.getIn(keys.slice(0, depth - 1), true);
    const key = keys[depth - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => String(item.key) === String(key));
      const offset = (pair?.key as Node | undefined)?.range?.[0];
      if (offset !== undefined) return positionOf(offset);
    }
    const node = document.getIn(keys.slice(0, depth), true) as Node | undefined;
    const offset = node?.range?.[0];
    if (offset !== undefined) return positionOf(offset);
  }
  return null;
}

function inOrder(a: FileProblem, b: FileProblem): number {
  const rank = ({ at }: FileProblem) => (at === null ? 0 : at.line * 1e6 + at.column);
  return rank(a) - rank(b);
}
