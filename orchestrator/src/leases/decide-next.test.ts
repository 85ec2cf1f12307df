import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { billedMs } from '../metering/usage.ts';
import { costMicros, holdMicros } from '../pricing/price.ts';
import { decideNext, type PastTry, type RetryTerms } from './decide-next.ts';

const terms: RetryTerms = {
  maxRetries: 0,
  retryOnExitCodes: null,
  neverRetryOnExitCodes: [],
  userFailures: 0,
  cancelRequestedAt: null,
};
const reasons = fc.constantFrom(...endReasonCodes);

function decide(
  reason: PastTry['reason'],
  {
    exitCode = null,
    before = [],
    spoiledTries = 1,
    random = () => 0.999,
    ...changed
  }: Partial<RetryTerms> & {
    exitCode?: number | null;
    before?: PastTry[];
    spoiledTries?: number;
    random?: () => number;
  } = {},
) {
  return decideNext(
    reason,
    exitCode,
    { ...terms, ...changed },
    { past: [{ reason, ranMs: 0 }, ...before], spoiledTries, maxAttempts: 10, random },
  );
}

const lost = (ranMs = 0): PastTry => ({ reason: 'provider-lost', ranMs });

describe('tries that a machine or the market spoiled', () => {
  test('are repeated free, as often as the operator allows', () => {
    expect(decide('provider-lost', { spoiledTries: 9 })).toMatchObject({ kind: 'again', counted: false });
    expect(decide('provider-lost', { spoiledTries: 10 })).toEqual({
      kind: 'end',
      reason: 'provider-lost',
      detail: 'Given up after 10 spoiled tries.',
    });
  });

  test('refused offers and announced moves never use up what the operator allows', () => {
    for (const reason of ['offer-rejected', 'offer-expired', 'provider-left', 'preempted'] as const) {
      expect(decide(reason, { spoiledTries: 1_000 })).toMatchObject({ kind: 'again', counted: false });
    }
  });

  test('the rest before the next try doubles while they fail in a row, up to five minutes', () => {
    const rest = (failures: number) => {
      const next = decide('provider-lost', { before: Array.from({ length: failures - 1 }, () => lost()) });
      return next.kind === 'again' ? next.backoffSeconds : null;
    };
    expect([1, 2, 3, 11].map((failures) => Math.round(rest(failures) ?? 0))).toEqual([1, 2, 4, 300]);
  });

  test('jobs that failed together do not come back together', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 0.999_999, noNaN: true }), (random) => {
        const next = decide('provider-lost', { before: [lost(), lost()], random: () => random });
        expect(next).toMatchObject({ kind: 'again', backoffSeconds: expect.closeTo(2 + random * 2, 9) });
      }),
    );
  });

  test('a try that ran for long ends the row of failures, and a move asks for no rest at all', () => {
    const after = (before: PastTry[]) => decide('provider-lost', { before });
    expect(after([lost(600_000), lost(), lost()])).toMatchObject({ backoffSeconds: expect.closeTo(2, 1) });
    expect(after([{ reason: 'preempted', ranMs: 5 }, lost(), lost()])).toMatchObject({
      backoffSeconds: expect.closeTo(1, 1),
    });
    expect(decide('provider-left', { before: [lost(), lost()] })).toMatchObject({ backoffSeconds: 0 });
  });
});

describe("the program's own failures", () => {
  test('end the job unless the renter asked for retries, and are counted against them', () => {
    expect(decide('exited-nonzero', { exitCode: 1 })).toMatchObject({ kind: 'end' });
    expect(decide('exited-nonzero', { exitCode: 1, maxRetries: 2, userFailures: 1 })).toMatchObject({
      kind: 'again',
      counted: true,
    });
    expect(decide('exited-nonzero', { exitCode: 1, maxRetries: 2, userFailures: 2 })).toMatchObject({
      kind: 'end',
    });
  });

  test('are retried by exit code where the renter gave lists', () => {
    const only = { maxRetries: 1, retryOnExitCodes: [75] };
    expect(decide('exited-nonzero', { ...only, exitCode: 75 }).kind).toBe('again');
    expect(decide('exited-nonzero', { ...only, exitCode: 1 }).kind).toBe('end');
    expect(decide('image-unavailable', only).kind).toBe('end'); // it has no exit code
    expect(decide('image-unavailable', { maxRetries: 1 }).kind).toBe('again');
    const never = { maxRetries: 1, neverRetryOnExitCodes: [2] };
    expect(decide('exited-nonzero', { ...never, exitCode: 2 }).kind).toBe('end');
    expect(decide('exited-nonzero', { ...never, exitCode: 3 }).kind).toBe('again');
  });

  test('a success, a time limit and a cancel are never tried again', () => {
    for (const reason of ['exited-zero', 'time-limit', 'cancelled'] as const) {
      expect(decide(reason, { maxRetries: 100, exitCode: 0 }).kind).toBe('end');
    }
  });
});

test('a job that the renter has cancelled is never tried again, whatever its try ended by', () => {
  fc.assert(
    fc.property(reasons, fc.integer({ min: 0, max: 100 }), (reason, maxRetries) => {
      const next = decide(reason, { cancelRequestedAt: new Date(), maxRetries, exitCode: 1 });
      expect(next.kind).toBe('end');
    }),
  );
});

test('whatever happens to a job, its bills together never exceed its hold', () => {
  const tries = fc.array(
    fc.record({ reason: reasons, exitCode: fc.integer({ min: 0, max: 5 }), seconds: fc.nat(10_000) }),
    { maxLength: 300 },
  );
  fc.assert(
    fc.property(
      tries,
      fc.integer({ min: 0, max: 6 }),
      fc.integer({ min: 1, max: 7_200 }),
      fc.bigInt({ min: 0n, max: 50_000_000n }),
      (history, maxRetries, timeLimitSeconds, rate) => {
        const hold = holdMicros(rate, timeLimitSeconds * (1 + maxRetries));
        const start = new Date('2026-01-01T00:00:00Z');
        const past: PastTry[] = [];
        let userFailures = 0;
        let cost = 0n;
        for (const { reason, exitCode, seconds } of history) {
          const now = new Date(start.getTime() + seconds * 1_000);
          const span = {
            startedAt: start,
            exitedAt: now,
            now,
            silentAt: null,
            silentMs: 0,
            timeLimitSeconds,
          };
          cost += costMicros(billedMs(reason, span), rate);
          past.unshift({ reason, ranMs: seconds * 1_000 });
          const next = decideNext(
            reason,
            exitCode,
            { ...terms, maxRetries, userFailures },
            { past, spoiledTries: 0, maxAttempts: 1_000, random: Math.random },
          );
          if (next.kind === 'end') break;
          // Each try that is paid for and tried again spends one of the retries that the hold covers.
          expect(endReasonRow(reason).billable && !next.counted).toBe(false);
          if (next.counted) userFailures += 1;
        }
        expect(cost).toBeLessThanOrEqual(hold);
      },
    ),
  );
});
