import { endReasonRow, reportedEndReasons } from '@computefabric/protocol/end-reason';
import { expect, test } from 'vitest';
import { billedMs } from '../metering/usage.ts';
import { judgeEnd } from './judge-end.ts';

const start = new Date('2026-01-01T00:00:00Z');
const after = (seconds: number) => new Date(start.getTime() + seconds * 1_000);
const ran = { startedAt: start, exitedAt: after(10), now: after(12), timeLimitSeconds: 60 };
const neverRan = { startedAt: null, exitedAt: null, now: after(12), timeLimitSeconds: 60 };

test('an exit code decides between success and failure, whatever word the machine used', () => {
  expect(judgeEnd({ reported: 'exited-zero', exitCode: 3, stopWanted: false, span: ran })).toBe(
    'exited-nonzero',
  );
  expect(judgeEnd({ reported: 'exited-nonzero', exitCode: 0, stopWanted: false, span: ran })).toBe(
    'exited-zero',
  );
});

test('a machine cannot be paid for a program that it never started', () => {
  for (const reported of reportedEndReasons) {
    const reason = judgeEnd({ reported, exitCode: 0, stopWanted: false, span: neverRan });
    expect(billedMs(reason, neverRan)).toBe(0);
    expect(endReasonRow(reason).finalState).not.toBe('succeeded');
  }
});

test('a stop that nobody asked for is the owner leaving: free, and tried again', () => {
  expect(judgeEnd({ reported: 'cancelled', exitCode: 143, stopWanted: false, span: ran })).toBe(
    'provider-left',
  );
  expect(judgeEnd({ reported: 'cancelled', exitCode: 143, stopWanted: true, span: ran })).toBe('cancelled');
});

test('a time limit that our own meter has not seen is not believed', () => {
  expect(judgeEnd({ reported: 'time-limit', exitCode: 137, stopWanted: false, span: ran })).toBe(
    'provider-error',
  );
  const long = { ...ran, exitedAt: after(60) };
  expect(judgeEnd({ reported: 'time-limit', exitCode: 137, stopWanted: false, span: long })).toBe(
    'time-limit',
  );
});

test('no try is billed past its time limit', () => {
  expect(billedMs('exited-zero', { ...ran, exitedAt: after(600) })).toBe(60_000);
  expect(billedMs('exited-zero', { ...ran, exitedAt: after(-5) })).toBe(0);
});
