import { reportedEndReasons } from '@computefabric/protocol/end-reason';
import { taskMachine } from '@computefabric/protocol/lease-state';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { testSpec } from '../testing/test-spec.ts';
import {
  bringsResults,
  mayRun,
  nextStep,
  outcomeOfExit,
  outcomeOfStop,
  stateOf,
  type TaskStep,
} from './task-machine.ts';
import { newTaskRecord, stopCause, type TaskRecord } from './task-record.ts';

const moment = { wallMs: 0, bootId: null, bootMs: null };

/** What each step writes down when it is done. */
const facts: Record<Exclude<TaskStep, 'forget'>, (task: TaskRecord) => Partial<TaskRecord>> = {
  accept: () => ({ aliveUntil: moment }),
  'give-up': ({ stop }) => ({ outcome: outcomeOfStop(stop ?? 'cancelled') }),
  'pull-image': () => ({ image: { id: 'sha256:1', digest: null } }),
  'create-container': () => ({ containerId: 'c1' }),
  'restore-state': () => ({ restored: true }),
  'start-container': () => ({ startedAt: moment }),
  'run-container': ({ stop }) => ({
    exit: { code: 0, outOfMemory: false },
    outcome: outcomeOfExit({ code: 0, outOfMemory: false }, stop),
  }),
  'report-exit': () => ({ exitReported: true }),
  'save-state': () => ({ stateSaved: true }),
  save: () => ({ saved: true }),
  'report-end': () => ({ endReported: true }),
  'clean-up': () => ({ removed: true }),
  'report-release': () => ({ released: true }),
};

function walk(task: TaskRecord, interfere: (task: TaskRecord, at: number) => Partial<TaskRecord>) {
  const taken: TaskStep[] = [];
  const states = [stateOf(task)];
  let record = task;
  for (let at = 0; ; at += 1) {
    expect(at, `does not end: ${taken.join(' ')}`).toBeLessThan(30);
    const step = nextStep(record);
    taken.push(step);
    if (step === 'forget') return { taken, states };
    record = { ...record, ...facts[step](record) };
    states.push(stateOf(record));
    record = { ...record, ...interfere(record, at) };
    states.push(stateOf(record));
  }
}

test('a task that nothing disturbs takes every step once, in the order of its life', () => {
  const { taken, states } = walk(newTaskRecord(testSpec()), () => ({}));
  expect(taken).toEqual([
    'accept',
    'pull-image',
    'create-container',
    'start-container',
    'run-container',
    'report-exit',
    'save',
    'report-end',
    'clean-up',
    'report-release',
    'forget',
  ]);
  expect([...new Set(states)]).toEqual(['received', 'pulling', 'creating', 'running', 'saving', 'reported']);
});

test('however a task is stopped or fails, it is reported, cleaned up and released once, by moves the protocol knows', () => {
  const disturbance = fc.record({
    at: fc.integer({ min: 0, max: 12 }),
    what: fc.oneof(
      stopCauses().map((stop) => ({ stop })),
      fc.constantFrom(...reportedEndReasons).map((reason) => ({ outcome: { reason, detail: null } })),
    ),
  });
  fc.assert(
    fc.property(fc.array(disturbance, { maxLength: 3 }), (disturbances) => {
      const { taken, states } = walk(newTaskRecord(testSpec()), (task, at) => {
        const due = disturbances.find((each) => each.at === at)?.what;
        // As the runner does it: what is over stays over, and the first cause stands.
        return due && !task.outcome && !task.stop ? due : {};
      });
      for (const once of ['accept', 'save', 'report-end', 'clean-up', 'report-release'] as const) {
        expect(taken.filter((step) => step === once)).toHaveLength(1);
      }
      expect(taken.indexOf('report-end')).toBeLessThan(taken.indexOf('report-release'));
      expect(taken.indexOf('clean-up')).toBeLessThan(taken.indexOf('report-release'));
      for (let at = 1; at < states.length; at += 1) {
        const [from, to] = [states[at - 1], states[at]];
        if (from && to && from !== to) expect(taskMachine.canMove(from, to), `${from} to ${to}`).toBe(true);
      }
    }),
  );
});

test('the container of an expired task goes before anything is reported', () => {
  const { taken } = walk(newTaskRecord(testSpec()), (task, at) =>
    at === 3 && !task.outcome ? { stop: 'lease-expired' } : {},
  );
  expect(taken.indexOf('clean-up')).toBeLessThan(taken.indexOf('report-exit'));
});

test('a program stopped for memory is out of memory even when it managed to exit with 0', () => {
  expect(outcomeOfExit({ code: 0, outOfMemory: true }, null).reason).toBe('out-of-memory');
  expect(outcomeOfExit({ code: 0, outOfMemory: false }, null).reason).toBe('exited-zero');
  expect(outcomeOfExit({ code: 3, outOfMemory: false }, null).reason).toBe('exited-nonzero');
  expect(outcomeOfExit({ code: null, outOfMemory: false }, null).reason).toBe('provider-error');
});

test('a stop explains the end whatever the exit code is', () => {
  expect(outcomeOfExit({ code: 0, outOfMemory: false }, 'cancelled').reason).toBe('cancelled');
  expect(outcomeOfExit({ code: 137, outOfMemory: false }, 'time-limit').reason).toBe('time-limit');
  expect(outcomeOfExit({ code: 143, outOfMemory: true }, 'provider-left').reason).toBe('provider-left');
  expect(outcomeOfStop('lease-expired').reason).toBe('provider-error');
});

test('only a try that will not be run again brings results, and only if it ran', () => {
  const ran = { ...newTaskRecord(testSpec()), startedAt: moment, containerId: 'c1' };
  const brings = reportedEndReasons.filter((reason) =>
    bringsResults({ ...ran, outcome: { reason, detail: null } }),
  );
  expect(brings).toEqual(['exited-zero', 'exited-nonzero', 'out-of-memory', 'time-limit', 'cancelled']);
  expect(bringsResults({ ...ran, startedAt: null, outcome: { reason: 'cancelled', detail: null } })).toBe(
    false,
  );
});

test('a task may be running a program until its end is known', () => {
  const task = newTaskRecord(testSpec());
  expect(mayRun(task)).toBe(true);
  expect(mayRun({ ...task, outcome: { reason: 'exited-zero', detail: null } })).toBe(false);
  expect(mayRun({ ...task, removed: true })).toBe(false);
});

function stopCauses() {
  return fc.constantFrom(...stopCause.options);
}
