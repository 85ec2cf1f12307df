import { endReasonRow } from '@computefabric/protocol/end-reason';
import { type JobState, jobMachine } from '@computefabric/protocol/job-state';
import type { JobSummary } from '@computefabric/protocol/user-api/jobs';
import { type ExitName, exitCode } from '../exit-codes.ts';

type Ended = Pick<JobSummary, 'state' | 'end_reason' | 'exit_code'>;

export function isFinal(state: JobState): boolean {
  return jobMachine.isTerminal(state);
}

/** The program's exit code for a job; with `ofProgram` the exit code of the job's own program, if it has one. */
export function exitCodeForJob(job: Ended, ofProgram = false): number {
  if (ofProgram && isFinal(job.state) && job.exit_code !== null) return job.exit_code;
  return exitCode(outcome(job));
}

function outcome({ state, end_reason }: Ended): ExitName {
  switch (state) {
    case 'blocked':
    case 'queued':
    case 'preparing':
    case 'running':
    case 'finishing':
      return 'jobNotFinished';
    case 'succeeded':
      return 'ok';
    case 'cancelled':
      return 'jobCancelled';
    case 'failed':
    case 'expired':
      if (end_reason === 'no-match-in-time') return 'noMatch';
      if (end_reason === 'funds-exhausted') return 'money';
      if (end_reason !== null && endReasonRow(end_reason).fault !== 'renter') return 'jobLostMachine';
      return 'jobFailed';
  }
}
