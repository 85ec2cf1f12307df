import { endReasonRow, reportedEndReasons } from '@computefabric/protocol/end-reason';
import { expect, test } from 'vitest';
import { billedMs, meteredMs } from '../metering/usage.ts';
import { judgeEnd } from './judge-end.ts';

const start = new Date('2026-01-01T00:00:00Z');
const after = (seconds: number) => new Date(start.getTime() + seconds * 1_000);
const heard = { silentAt: null, silentMs: 0 };
const ran = { startedAt: start, exitedAt: after(10), now: after(12), timeLimitSeconds: 60, ...heard };
const neverRan = { startedAt: null, exitedAt: null, now: after(12), timeLimitSeconds: 60, ...heard };
const unasked = { stopReason: null, stopSeenAt: null };

test('an exit code decides between success and failure, whatever word the machine used', () => {
  expect(judgeEnd({ reported: 'exited-zero', exitCode: 3, ...unasked, span: ran })).toBe('exited-nonzero');
  expect(judgeEnd({ reported: 'exited-nonzero', exitCode: 0, ...unasked, span: ran })).toBe('exited-zero');
});

test('a machine cannot be paid for a program that it never started', () => {
  for (const reported of reportedEndReasons) {
    const reason = judgeEnd({ reported, exitCode: 0, ...unasked, span: neverRan });
    expect(billedMs(reason, neverRan)).toBe(0);
    expect(endReasonRow(reason).finalState).not.toBe('succeeded');
  }
});

test('a stop that nobody asked for is the owner leaving: free, and tried again', () => {
  expect(judgeEnd({ reported: 'cancelled', exitCode: 143, ...unasked, span: ran })).toBe('provider-left');
  expect(
    judgeEnd({
      reported: 'cancelled',
      exitCode: 143,
      stopReason: 'cancelled',
      stopSeenAt: after(9),
      span: ran,
    }),
  ).toBe('cancelled');
});

test('a time limit that our own meter has not seen is not believed', () => {
  expect(judgeEnd({ reported: 'time-limit', exitCode: 137, ...unasked, span: ran })).toBe('provider-error');
  const long = { ...ran, exitedAt: after(60) };
  expect(judgeEnd({ reported: 'time-limit', exitCode: 137, ...unasked, span: long })).toBe('time-limit');
});

test('no try is billed past its time limit', () => {
  expect(billedMs('exited-zero', { ...ran, exitedAt: after(600) })).toBe(60_000);
  expect(billedMs('exited-zero', { ...ran, exitedAt: after(-5) })).toBe(0);
});

test.each([
  ['cancelled', 'cancelled'],
  ['time-limit', 'time-limit'],
  ['preempted', 'preempted'],
  ['drained', 'provider-left'],
  ['superseded', 'superseded'],
] as const)('a try stopped because it was %s has ended as %s', (stopReason, reason) => {
  const end = { exitCode: 143, stopReason, stopSeenAt: after(9), span: ran };
  expect(judgeEnd({ ...end, reported: 'cancelled' })).toBe(reason);
});

test('a machine that was told to give a job up is not paid by calling that the failure of the program', () => {
  const end = { reported: 'exited-nonzero', exitCode: 143, stopReason: 'preempted', span: ran } as const;
  expect(judgeEnd({ ...end, stopSeenAt: after(9) })).toBe('preempted');
  // It ended before anybody told the machine: then it failed by itself.
  expect(judgeEnd({ ...end, stopSeenAt: after(11) })).toBe('exited-nonzero');
  expect(judgeEnd({ ...end, stopSeenAt: null })).toBe('exited-nonzero');
  // A program that succeeded is done, whatever was wanted of it.
  expect(judgeEnd({ ...end, reported: 'exited-zero', exitCode: 0, stopSeenAt: after(9) })).toBe(
    'exited-zero',
  );
});

test('silence is not billed, and does not hide that the time limit was reached', () => {
  const back = { ...ran, exitedAt: after(60), silentMs: 20_000 };
  expect(billedMs('exited-zero', back)).toBe(40_000);
  const end = { reported: 'time-limit', exitCode: 137, ...unasked } as const;
  expect(judgeEnd({ ...end, span: back })).toBe('time-limit');
  expect(meteredMs({ ...ran, exitedAt: null, silentAt: after(7) })).toBe(7_000);
  // Silent since before it was known to run: nothing of it was seen.
  expect(meteredMs({ ...ran, exitedAt: null, silentAt: after(-3) })).toBe(0);
});
