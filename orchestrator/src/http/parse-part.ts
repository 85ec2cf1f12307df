import { AppError, type FieldProblem } from '@computefabric/runtime/errors';
import type { z } from 'zod';
import { unstorableText } from './unstorable-text.ts';

/** Where in a request a value stood. */
export type RequestPart = 'path' | 'query' | 'header' | 'body';

/**
 * Parses one part of a request by its schema.
 *
 * @throws AppError `request/invalid` that names each wrong field and what to write instead.
 */
export function parsePart<T extends z.ZodType>(
  schema: T | undefined,
  part: RequestPart,
  value: unknown,
): z.output<T> {
  // Without a schema the part is undefined, which is what the absent schema's type (ZodUndefined) says.
  if (!schema) return undefined as z.output<T>;
  if (part === 'path' || part === 'query') refuseUnstorable(part, value);
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(part, fieldProblems(parsed.error.issues, value));
}

/** The refusal of a request whose `fields` are wrong. */
export function invalid(part: RequestPart, fields: FieldProblem[]): AppError {
  const [first] = fields;
  const where = part === 'body' ? '' : ` (${part})`;
  const message = first ? `${first.path ? `${first.path}${where}: ` : ''}${first.message}.` : undefined;
  return new AppError('request/invalid', message === undefined ? { fields } : { message, fields });
}

/** Longest list of problems in one answer: more do not help, and the answer stays small. */
const problemsShown = 20;

/** Zod's issues as paths such as `requirements.gpus` and sentences. */
export function fieldProblems(issues: readonly z.core.$ZodIssue[], value: unknown): FieldProblem[] {
  return issues.flatMap((issue) => problemsOf(issue, value)).slice(0, problemsShown);
}

function problemsOf(issue: z.core.$ZodIssue, value: unknown): FieldProblem[] {
  const path = pathText(issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: pathText([...issue.path, key.slice(0, 128)]),
        message: 'is not a known field',
      }));
    case 'invalid_union': {
      // Tell what is wrong with the alternative that came nearest: the one whose type fitted.
      const nearest = issue.errors.toSorted((a, b) => depth(b) - depth(a))[0];
      if (!nearest || depth(nearest) === 0) return [{ path, message: 'has the wrong type' }];
      return nearest.flatMap((inner) =>
        problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, value),
      );
    }
    case 'invalid_key':
      return issue.issues.map((inner) => ({ path, message: `has a bad name: ${lower(inner.message)}` }));
    default:
      return [{ path, message: lower(issue.message) }];
  }
}

/** How far into the value an alternative got before it failed; 0 when already its type was wrong. */
function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length + (issue.code === 'invalid_type' ? 0 : 1)));
}

/** `['requirements', 'gpus']` as `requirements.gpus`, `['command', 1]` as `command[1]`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key)}`))
    .join('');
}

function lower(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}

function refuseUnstorable(part: RequestPart, value: unknown): void {
  const path = unstorableText(value);
  if (path)
    throw invalid(part, [{ path: pathText(path), message: 'must not contain NUL or broken Unicode' }]);
}
