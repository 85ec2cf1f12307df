import { sampleEndedJob, sampleJob, sampleLease } from '@computefabric/api-client/testing/sample-data';
import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import { describe, expect, test } from 'vitest';
import { billText } from './cost.ts';
import { detachLines } from './detach.ts';
import { similarGpu } from './gpu-names.ts';
import { exitCodeForJob } from './outcome.ts';
import { flagOfField } from './spec-flags.ts';

describe('exit codes', () => {
  test('each way in which a job can end has its code', () => {
    const codes = endReasonCodes.map((reason) => {
      const state = endReasonRow(reason).finalState;
      return [reason, exitCodeForJob({ state, end_reason: reason, exit_code: null })];
    });
    expect(Object.fromEntries(codes)).toEqual({
      'exited-zero': 0,
      'exited-nonzero': 100,
      'out-of-memory': 100,
      'time-limit': 100,
      'funds-exhausted': 6,
      cancelled: 103,
      'image-unavailable': 100,
      'start-failed': 100,
      'no-match-in-time': 5,
      'provider-lost': 104,
      'provider-error': 104,
      'provider-left': 104,
      'offer-rejected': 104,
      'offer-expired': 104,
      'peer-lost': 104,
      'peer-ended': 103,
      'platform-error': 104,
      preempted: 104,
      superseded: 104,
      'dependency-failed': 103,
    });
  });

  test("the program's own code counts when it is asked for and there is one", () => {
    const failed = { state: 'failed', end_reason: 'exited-nonzero', exit_code: 3 } as const;
    expect(exitCodeForJob(failed)).toBe(100);
    expect(exitCodeForJob(failed, true)).toBe(3);
    expect(exitCodeForJob({ ...failed, end_reason: 'image-unavailable', exit_code: null }, true)).toBe(100);
    expect(exitCodeForJob({ state: 'running', end_reason: null, exit_code: null }, true)).toBe(101);
  });
});

describe('cost', () => {
  test('a bill shows how it came about', () => {
    expect(billText(sampleEndedJob())).toBe('10.0 s × $0.34/h = $0.000944 (play money)');
    const twice = sampleEndedJob(0, { leases: [sampleLease(), sampleLease({ attempt: 2 })] });
    expect(billText(twice)).toBe('10.0 s in 2 tries = $0.000944 (play money)');
    const unbilled = sampleEndedJob(0, {
      leases: [sampleLease({ billed_ms: 0 })],
      cost: { ...sampleJob().cost, play_money: false },
    });
    expect(billText(unbilled)).toBe('$0.00: nothing was billed');
  });
});

describe('detaching', () => {
  test('from a waiting job: state, how to follow, how to stop', () => {
    expect(detachLines('cfab', sampleJob())).toEqual([
      'Detached. mnist-7k2 is queued: not billed yet, at most $0.50.',
      '  follow again   cfab logs -f mnist-7k2',
      '  stop it        cfab cancel mnist-7k2',
    ]);
  });

  test('from a running job: also cost so far, rate and cap', () => {
    const job = sampleJob({
      state: 'running',
      dashboard_url: 'http://127.0.0.1:3000/jobs/mnist-7k2',
      cost: {
        ...sampleJob().cost,
        accrued_micros: '600',
        rate_per_hour_micros: '110000',
        billable: true,
      },
    });
    expect(detachLines('npx cfab', job)).toEqual([
      'Detached. mnist-7k2 is still running.',
      '  $0.0006 so far, $0.11/h, stops at $0.50 at the latest',
      '  follow again   npx cfab logs -f mnist-7k2',
      '  stop it        npx cfab cancel mnist-7k2',
      '  in browser     http://127.0.0.1:3000/jobs/mnist-7k2',
    ]);
  });

  test('from a job that has ended meanwhile: nothing to stop', () => {
    expect(detachLines('cfab', sampleEndedJob()).join('\n')).not.toContain('cancel');
  });
});

describe('GPU names', () => {
  const market = ['NVIDIA GeForce RTX 4090', 'NVIDIA A10'];

  test('a letter for a digit is surely a mistake, another digit may be another card', () => {
    expect(similarGpu('RTX4O90', market)).toEqual({ model: 'NVIDIA GeForce RTX 4090', surely: true });
    expect(similarGpu('RTX 4080', market)).toEqual({ model: 'NVIDIA GeForce RTX 4090', surely: false });
  });

  test('what is there, and what is like nothing, needs no word', () => {
    for (const name of ['rtx 4090', 'A10', 'GeForce RTX 4090', 'H100 SXM', 'x']) {
      expect(similarGpu(name, market)).toBeNull();
    }
  });
});

test('a field of the API is named by its flag', () => {
  expect(flagOfField('requirements.gpus')).toBe('--gpus');
  expect(flagOfField('env.PATH')).toBe('--env PATH');
  expect(flagOfField('command[3]')).toBe('--command');
  expect(flagOfField('something.else')).toBeNull();
});
