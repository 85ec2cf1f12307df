import { ApiError, UnexpectedReplyError, UnreachableError } from '@computefabric/api-client/errors';
import { errorCodeList, errorCodeRow } from '@computefabric/protocol/error-codes';
import { expect, test } from 'vitest';
import { exitCode } from '../exit-codes.ts';
import { knownErrorCodes } from '../help/error-codes.ts';
import { describeError } from './describe-error.ts';
import { errorJson } from './print-error.ts';

function refusal(
  code: (typeof errorCodeList)[number],
  more: Partial<ConstructorParameters<typeof ApiError>[1]> = {},
) {
  const { status, message, retry } = errorCodeRow(code);
  return new ApiError(status, { code, message, retry, request_id: 'req-1', ...more });
}

test('each code of the API has its exit code', () => {
  const codesOf = (exit: number) =>
    errorCodeList.filter((code) => describeError(refusal(code), 'cfab').exitCode === exit);
  expect(codesOf(exitCode('notLoggedIn'))).toEqual(['auth/missing', 'auth/invalid', 'auth/forbidden']);
  expect(codesOf(exitCode('jobNotFound'))).toEqual(['job/not-found']);
  expect(codesOf(exitCode('money'))).toEqual([
    'budget/exceeded',
    'ledger/insufficient-funds',
    'billing/account-frozen',
    'billing/card-required',
    'billing/credit-limit',
    'billing/nothing-to-refund',
  ]);
  expect(codesOf(exitCode('unreachable'))).toEqual(['server/busy']);
  expect(codesOf(exitCode('usage'))).toContain('request/invalid');
  expect(codesOf(exitCode('error'))).toContain('server/internal');
});

test('every code that can be printed can be looked up', () => {
  expect(knownErrorCodes).toEqual(expect.arrayContaining([...errorCodeList]));
  for (const thrown of [
    new UnreachableError('http://a.test', 'ECONNREFUSED', 'refused the connection'),
    new UnexpectedReplyError('http://a.test', 200, 'gave nonsense'),
    new TypeError('a bug'),
    'a string',
  ]) {
    expect(knownErrorCodes).toContain(describeError(thrown, 'cfab').facts.code);
  }
});

test('a server that cannot be reached and a proxy that says so both exit 7', () => {
  expect(describeError(new UnreachableError('http://a.test', 'TIMEOUT', 'late'), 'cfab').exitCode).toBe(7);
  expect(describeError(new UnexpectedReplyError('http://a.test', 502, 'bad gateway'), 'cfab').exitCode).toBe(
    7,
  );
  expect(describeError(new UnexpectedReplyError('http://a.test', 200, 'nonsense'), 'cfab').exitCode).toBe(1);
});

test('fields are named by their flags, amounts in money', () => {
  const invalid = refusal('request/invalid', {
    fields: [{ path: 'requirements.gpus', message: 'must be at most 8' }],
  });
  expect(describeError(invalid, 'cfab').facts.facts).toEqual([['--gpus', 'must be at most 8']]);
  const poor = refusal('ledger/insufficient-funds', {
    details: { hold_micros: '500000', available_micros: '100000' },
  });
  expect(describeError(poor, 'cfab').facts.facts).toEqual([
    ['at most', '$0.50'],
    ['balance', '$0.10'],
  ]);
});

test('as JSON an error is one line with everything a program needs', () => {
  const line = errorJson(describeError(refusal('server/busy'), 'cfab'));
  expect(line).not.toContain('\n');
  expect(JSON.parse(line)).toMatchObject({
    schema_version: 1,
    error: { code: 'server/busy', retry: 'later', request_id: 'req-1', cli_exit_code: 7 },
  });
});
