import { describe, expect, test } from 'vitest';
import { isPassingFault, postgresFault } from './postgres-error.ts';

const withCode = (code: string) => Object.assign(new Error('it went wrong'), { code });
const wrapped = (error: Error) =>
  new Error('Failed query', { cause: new Error('once more', { cause: error }) });

describe('what the database said', () => {
  test('is found under what wrapped it', () => {
    expect(postgresFault(wrapped(withCode('23505')))).toMatchObject({
      code: '23505',
      message: 'it went wrong',
    });
    expect(postgresFault(wrapped(withCode('P0001')))?.code).toBe('P0001');
  });

  test('is not the complaint of a socket', () => {
    for (const code of ['EPIPE', 'ECONNRESET', 'ERR_INVALID_ARG_TYPE'])
      expect(postgresFault(wrapped(withCode(code)))).toBeNull();
  });
});

describe('trying later helps', () => {
  test.each([
    'EPIPE',
    'ECONNRESET',
    'ECONNREFUSED',
    'ETIMEDOUT',
    '57P01',
    '08006',
    '53300',
    '40001',
    '40P01',
  ])('after %s', (code) => expect(isPassingFault(wrapped(withCode(code)))).toBe(true));

  test('when the pool has no connection, or lost the one it had', () => {
    for (const words of ['timeout exceeded when trying to connect', 'Connection terminated unexpectedly'])
      expect(isPassingFault(wrapped(new Error(words)))).toBe(true);
  });

  test.each(['23505', '22P02', 'XX000', 'P0001'])('not after %s', (code) =>
    expect(isPassingFault(withCode(code))).toBe(false),
  );

  test('not after a mistake of our own', () =>
    expect(isPassingFault(new TypeError('x is not a function'))).toBe(false));
});
