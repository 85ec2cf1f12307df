import { AppError } from '@computefabric/runtime/errors';
import { expect, test } from 'vitest';
import { loggableError } from './loggable-error.ts';
import { isPassingFault, postgresFault } from '../background/postgres-error.ts';

/** As Drizzle and pg throw them. */
function failedQuery(code: string) {
  const cause = Object.assign(new Error('null value in column "name"'), {
    code,
    constraint: 'jobs_name',
    table: 'jobs',
    detail: 'Failing row contains (canary).',
  });
  return Object.assign(new Error('Failed query: insert … params: canary', { cause }), {
    query: 'insert',
    params: ['canary'],
  });
}

test('a failed query is logged with its constraint and without its parameters', () => {
  const logged = loggableError(failedQuery('23502'));
  expect(logged).toMatchObject({ sqlstate: '23502', constraint: 'jobs_name', table: 'jobs' });
  expect(JSON.stringify(logged)).not.toContain('canary');
  const wrapped = loggableError(new AppError('server/internal', { cause: failedQuery('23502') }));
  expect(JSON.stringify(wrapped)).not.toContain('canary');
  const lost = Object.assign(new Error('Failed query: params: canary', { cause: new Error('gone') }), {
    query: 'select',
    params: ['canary'],
  });
  expect(JSON.stringify(loggableError(lost))).not.toContain('canary');
  expect(loggableError(lost)).toMatchObject({ cause: { message: 'gone' } });
});

test('what may pass by itself is told from what will not', () => {
  expect(isPassingFault(failedQuery('57P01'))).toBe(true);
  expect(isPassingFault(failedQuery('40P01'))).toBe(true);
  expect(isPassingFault(failedQuery('23502'))).toBe(false);
  expect(isPassingFault(Object.assign(new Error('x'), { code: 'ECONNREFUSED' }))).toBe(true);
  expect(isPassingFault(new Error('timeout exceeded when trying to connect'))).toBe(true);
  expect(isPassingFault(new Error('a mistake of ours'))).toBe(false);
  expect(postgresFault(new Error('no code'))).toBeNull();
});
