import { fieldProblems, pathText } from '@computefabric/protocol/grammar/field-problems';
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
  const unstorable = unstorableText(value);
  if (unstorable) {
    throw invalid(part, [{ path: pathText(unstorable), message: 'must not contain NUL or broken Unicode' }]);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalid(part, fieldProblems(parsed.error.issues, schema));
}

/** The refusal of a request whose `fields` are wrong; its sentence is about the first. */
export function invalid(part: RequestPart, fields: FieldProblem[]): AppError {
  const [first] = fields;
  if (!first) return new AppError('request/invalid');
  const where = part === 'body' ? '' : ` (${part})`;
  const subject = first.path === '' ? 'The body' : `${first.path}${where}`;
  return new AppError('request/invalid', { message: `${subject} ${first.message}.`, fields });
}
