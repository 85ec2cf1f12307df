import { type JobState, jobMachine } from '@computefabric/protocol/job-state';

/**
 * What has to be done so that the ranks of a gang share one fate.
 *
 * - `none`    all of them wait, all of them are under way, or all that are left end by themselves
 * - `restart` some were lost and wait again: the others are to stop and to wait with them
 * - `end`     one has ended without success, or has ended while another was lost: the others are to end
 */
export type GangStep = 'none' | 'restart' | 'end';

/** Pure; the states of all ranks at one moment. */
export function gangStep(states: readonly JobState[]): GangStep {
  const unfinished = states.filter((state) => !jobMachine.isTerminal(state));
  if (unfinished.length === 0) return 'none';
  const ended = states.length - unfinished.length;
  const succeeded = states.filter((state) => state === 'succeeded').length;
  if (succeeded < ended) return 'end';
  const waiting = unfinished.filter((state) => state === 'queued' || state === 'blocked').length;
  // The grant takes all of them out of the queue at once, so a mixture means that some came back to it.
  if (waiting > 0 && succeeded > 0) return 'end';
  if (waiting > 0 && waiting < unfinished.length) return 'restart';
  return 'none';
}
