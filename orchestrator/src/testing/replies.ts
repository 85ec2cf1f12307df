import { type ErrorBody, errorBody } from '@computefabric/protocol/error-codes';
import type { z } from 'zod';
import type { Answer } from './test-market.ts';

/** The body of an answer by its schema. */
export function parsed<T extends z.ZodType>(schema: T | undefined, answer: Answer): z.output<T> {
  if (!schema) throw new Error('the contract has no reply');
  if (answer.status >= 300) throw new Error(`unexpected ${answer.status}: ${answer.text}`);
  return schema.parse(JSON.parse(answer.text));
}

/** The error of an answer, held against the one form that errors have. */
export function errorOf(answer: Answer): ErrorBody['error'] {
  return errorBody.parse(JSON.parse(answer.text)).error;
}
