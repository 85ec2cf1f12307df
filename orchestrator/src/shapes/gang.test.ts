import { type JobState, jobMachine, jobStates } from '@computefabric/protocol/job-state';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { gangStep } from './gang.ts';

test.each<[string, JobState[], ReturnType<typeof gangStep>]>([
  ['all wait', ['queued', 'queued'], 'none'],
  ['some are still blocked', ['blocked', 'queued'], 'none'],
  ['all are under way', ['running', 'preparing', 'finishing'], 'none'],
  ['one has succeeded, the other runs', ['succeeded', 'running'], 'none'],
  ['all have ended', ['succeeded', 'failed'], 'none'],
  ['one was lost and waits again', ['queued', 'running'], 'restart'],
  ['one failed', ['failed', 'running'], 'end'],
  ['one was cancelled before the start', ['cancelled', 'queued'], 'end'],
  ['one has succeeded, the other was lost', ['succeeded', 'queued'], 'end'],
])('%s', (_what, states, step) => {
  expect(gangStep(states)).toBe(step);
});

test('the order of the ranks is no matter, and a gang that is left alone is of one mind', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...jobStates), { minLength: 2, maxLength: 8 }), (states) => {
      const step = gangStep(states);
      expect(gangStep(states.toReversed())).toBe(step);
      if (step !== 'none') return;
      const open = states.filter((state) => !jobMachine.isTerminal(state));
      const waiting = open.filter((state) => state === 'queued' || state === 'blocked');
      expect(waiting.length === 0 || waiting.length === open.length).toBe(true);
      if (open.length > 0)
        expect(states.filter((state) => ['failed', 'cancelled', 'expired'].includes(state))).toEqual([]);
    }),
  );
});
