'use client';

import { cancelJob } from '@/actions/cancel-job.ts';
import { ConfirmCancel } from '@/components/shell/confirm-cancel.tsx';

interface CancelButtonProps {
  jobId: string;
  jobName: string;
  /** The program runs: stopping it takes a moment and what ran so far is paid for. */
  isRunning: boolean;
  /** Cancelling was asked for already. */
  isRequested: boolean;
}

export function CancelButton({ jobId, jobName, isRunning, isRequested }: CancelButtonProps) {
  return (
    <ConfirmCancel
      label="Cancel job"
      question={`Cancel ${jobName}?`}
      consequence={
        isRunning
          ? 'The program is asked to stop and has its grace time to do so. You pay for the time until it has stopped; what it wrote to /outputs so far is kept.'
          : 'The job has not started, so nothing is charged. The money reserved for it becomes available again.'
      }
      keepLabel="Keep it"
      isRequested={isRequested}
      cancel={() => cancelJob(jobId)}
    />
  );
}
