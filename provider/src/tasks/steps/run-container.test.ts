import { expect, test } from 'vitest';
import { isOtherBoot, judge } from './run-container.ts';

const times = { startedAt: null, finishedAt: null, error: null };

function exited(exitCode: number, { oomKilled = false, engineWasAway = false } = {}) {
  return { kind: 'exited', exit: { exitCode, oomKilled, ...times }, engineWasAway } as const;
}

test('an end is explained by the exit code, by memory, or by the stop that came before it', () => {
  expect(judge(exited(0), null, false).outcome?.reason).toBe('exited-zero');
  expect(judge(exited(4), null, false)).toMatchObject({
    exit: { code: 4 },
    outcome: { reason: 'exited-nonzero' },
  });
  expect(judge(exited(0, { oomKilled: true }), null, false).outcome?.reason).toBe('out-of-memory');
  expect(judge(exited(143), 'cancelled', false).outcome?.reason).toBe('cancelled');
});

test('a stop that came too late is dropped with the end that it did not cause', () => {
  expect(judge(exited(0), null, false).stop).toBeNull();
});

test('what the watchdog did is the lease time running out, not an exit of the program', () => {
  expect(judge(exited(137), null, true)).toMatchObject({
    outcome: { reason: 'provider-error' },
    stop: 'lease-expired',
  });
  expect(judge({ kind: 'lost' }, 'cancelled', true).stop).toBe('lease-expired');
});

test('a container that is gone is this machine’s fault unless a stop explains it', () => {
  expect(judge({ kind: 'lost' }, null, false).outcome?.reason).toBe('provider-error');
  expect(judge({ kind: 'lost' }, 'provider-left', false).outcome?.reason).toBe('provider-left');
});

test('a program that died with its engine is not billed; one that ended well while the engine was away is done', () => {
  expect(judge(exited(137, { engineWasAway: true }), null, false).outcome?.reason).toBe('provider-error');
  expect(judge(exited(0, { engineWasAway: true }), null, false).outcome?.reason).toBe('exited-zero');
  expect(judge(exited(137, { engineWasAway: true }), 'cancelled', false).outcome?.reason).toBe('cancelled');
});

test('what ran before the machine was started anew died with it', () => {
  const moment = { wallMs: 1_000, bootId: 'boot-1', bootMs: 1 };
  expect(isOtherBoot(moment, { ...moment, bootId: 'boot-2' })).toBe(true);
  expect(isOtherBoot(moment, { ...moment, wallMs: 9_000 })).toBe(false);
  // Where the system does not tell, nothing follows.
  expect(isOtherBoot(moment, { ...moment, bootId: null })).toBe(false);
});
