import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { AppError } from '@computefabric/runtime/errors';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { nearestField } from '@computefabric/protocol/grammar/nearest-field';
import { parsePart } from './parse-part.ts';

function problemsOf(schema: z.ZodType, value: unknown): Record<string, string> {
  try {
    parsePart(schema, 'body', value);
  } catch (thrown) {
    if (!(thrown instanceof AppError)) throw thrown;
    return Object.fromEntries((thrown.fields ?? []).map(({ path, message }) => [path, message]));
  }
  return {};
}

test('each problem is told in words that follow its path', () => {
  const schema = z.strictObject({
    count: z.number().int().min(2).max(5),
    name: z.string().min(1).max(3),
    list: z.array(z.boolean()).max(1),
    flags: z.array(z.boolean()),
    kind: z.enum(['a', 'b']),
    at: z.iso.datetime(),
    deep: z.object({ er: z.string() }),
  });
  expect(
    problemsOf(schema, {
      count: 1.5,
      name: 'abcd',
      list: [true, true],
      flags: [true, 1],
      kind: 'c',
      at: 'now',
      deep: {},
    }),
  ).toEqual({
    count: 'must be a whole number',
    name: 'must be at most 3 characters long',
    list: 'must be at most 1 entries long',
    'flags[1]': 'must be true or false',
    kind: 'must be one of a, b',
    at: 'must be a time such as 2026-01-31T12:00:00Z',
    'deep.er': 'is missing; it must be a string',
  });
  expect(problemsOf(schema, 7)).toEqual({ '': 'must be an object' });
});

test('a value of several allowed forms is judged by the form that it comes nearest to', () => {
  expect(problemsOf(jobSpec, { image: 'x', command: ['a', 1] })).toEqual({
    'command[1]': 'must be a string',
  });
  expect(problemsOf(jobSpec, { image: 'x', command: '' })).toEqual({ command: 'must not be empty' });
  expect(problemsOf(jobSpec, { image: 'x', command: 7 })).toEqual({ command: 'is of the wrong type' });
});

test('no more problems than people read, and no more of a name than they need, come back', () => {
  const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`${n}${'x'.repeat(1_000)}`, 1]));
  const problems = problemsOf(jobSpec, { image: 'x', ...many });
  expect(Object.keys(problems).length).toBeLessThanOrEqual(20);
  expect(JSON.stringify(problems).length).toBeLessThan(3_000);
});

test('a misspelt field is recognised through defaults and in nested objects, and a strange one is not', () => {
  expect(nearestField(jobSpec, [], 'timeLimitSeconds')).toBe('time_limit_seconds');
  expect(nearestField(jobSpec, ['requirements'], 'gpu')).toBe('gpus');
  expect(nearestField(jobSpec, ['requirements'], 'memory_mb')).toBe('memory_mib');
  for (const name of ['colour', 'x', '']) expect(nearestField(jobSpec, [], name)).toBeNull();
  expect(nearestField(jobSpec, ['image', 'deeper'], 'gpus')).toBeNull();
});
