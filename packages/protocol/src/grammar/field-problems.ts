import type { z } from 'zod';
import { nearestField } from './nearest-field.ts';

/** What is wrong with a field, in words that follow its path. */
export interface FieldProblem {
  path: string;
  message: string;
}

/** Longest list of problems in one answer: more do not help, and the answer stays small. */
const problemsShown = 20;
/** Longest part of a name that a client sent which we say back. */
const echoedChars = 64;

/** A schema's complaints as paths such as `requirements.gpus` and words that follow the path: "must be …". */
export function fieldProblems(issues: readonly z.core.$ZodIssue[], schema: z.ZodType): FieldProblem[] {
  return issues.flatMap((issue) => problemsOf(issue, schema)).slice(0, problemsShown);
}

/** `['requirements', 'gpus']` as `requirements.gpus`, `['command', 1]` as `command[1]`. */
export function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) =>
      typeof key === 'number' ? `[${key}]` : `${index > 0 ? '.' : ''}${String(key).slice(0, echoedChars)}`,
    )
    .join('');
}

function problemsOf(issue: z.core.$ZodIssue, schema: z.ZodType): FieldProblem[] {
  const path = pathText(issue.path);
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const meant = nearestField(schema, issue.path, key);
        return {
          path: pathText([...issue.path, key]),
          message: meant === null ? 'is not a known field' : `is not a known field; did you mean ${meant}?`,
        };
      });
    case 'invalid_union': {
      // Tell what is wrong with the alternative that came nearest: the one whose type fitted.
      const nearest = issue.errors.toSorted((a, b) => depth(b) - depth(a))[0];
      if (!nearest || depth(nearest) === 0) return [{ path, message: 'is of the wrong type' }];
      return nearest.flatMap((inner) =>
        problemsOf({ ...inner, path: [...issue.path, ...inner.path] }, schema),
      );
    }
    case 'invalid_key':
      return issue.issues.map((inner) => ({ path, message: `is not a good name: it ${words(inner)}` }));
    case 'invalid_type':
    case 'invalid_value':
    case 'invalid_format':
    case 'invalid_element':
    case 'not_multiple_of':
    case 'too_small':
    case 'too_big':
    case 'custom':
      return [{ path, message: words(issue) }];
  }
}

/** How far into the value an alternative got before it failed; 0 when already its type was wrong. */
function depth(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length + (issue.code === 'invalid_type' ? 0 : 1)));
}

/** What must be otherwise. Sentences that a schema brings itself begin with "must" and stay as they are. */
function words(issue: z.core.$ZodIssue): string {
  if (issue.message.startsWith('must ')) return issue.message;
  switch (issue.code) {
    case 'invalid_type':
      return issue.message.endsWith('received undefined')
        ? `is missing; it must be ${aType(issue.expected)}`
        : `must be ${aType(issue.expected)}`;
    case 'too_small':
      if (issue.minimum === 1 && (issue.origin === 'string' || issue.origin === 'array'))
        return 'must not be empty';
      return `must be ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin)}`;
    case 'too_big':
      return `must be ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin)}`;
    case 'invalid_value':
      return `must be ${issue.values.length === 1 ? '' : 'one of '}${issue.values.map(String).join(', ')}`;
    case 'invalid_format':
      return issue.format === 'datetime'
        ? 'must be a time such as 2026-01-31T12:00:00Z'
        : 'is not of the right form';
    case 'custom':
    case 'not_multiple_of':
    case 'invalid_element':
    case 'invalid_key':
    case 'invalid_union':
    case 'unrecognized_keys':
      return 'is not valid';
  }
}

function aType(expected: string): string {
  switch (expected) {
    case 'int':
      return 'a whole number';
    case 'array':
      return 'a list';
    case 'object':
    case 'record':
      return 'an object';
    case 'boolean':
      return 'true or false';
    default:
      return `a ${expected}`;
  }
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' entries long' : '';
}
