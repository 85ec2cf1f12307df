'use client';

import { CircleStop } from 'lucide-react';
import { useState, useTransition } from 'react';
import { cancelJob } from '@/actions/cancel-job.ts';
import {
  AlertDialog,
  AlertDialogAction,
  AlertDialogCancel,
  AlertDialogContent,
  AlertDialogDescription,
  AlertDialogFooter,
  AlertDialogTitle,
  AlertDialogTrigger,
} from '@/components/ui/alert-dialog.tsx';
import { Button } from '@/components/ui/button.tsx';
import { showError } from '@/components/ui/show-error.ts';

interface CancelButtonProps {
  jobId: string;
  jobName: string;
  /** The program runs: stopping it takes a moment and what ran so far is paid for. */
  isRunning: boolean;
  /** Cancelling was asked for already. */
  isRequested: boolean;
}

export function CancelButton({ jobId, jobName, isRunning, isRequested }: CancelButtonProps) {
  const [open, setOpen] = useState(false);
  const [pending, startTransition] = useTransition();

  function confirm() {
    startTransition(async () => {
      const result = await cancelJob(jobId);
      if (result.kind === 'refused') await showError(result.message);
      setOpen(false);
    });
  }

  if (isRequested) {
    return (
      <Button variant="outline" disabled>
        <CircleStop aria-hidden /> Cancelling…
      </Button>
    );
  }
  return (
    <AlertDialog open={open} onOpenChange={setOpen}>
      <AlertDialogTrigger asChild>
        <Button variant="outline" className="text-danger">
          <CircleStop aria-hidden /> Cancel job
        </Button>
      </AlertDialogTrigger>
      <AlertDialogContent>
        <div>
          <AlertDialogTitle>Cancel {jobName}?</AlertDialogTitle>
          <AlertDialogDescription>
            {isRunning
              ? 'The program is asked to stop and has ten seconds to do so. You pay for the time until it has stopped; what it wrote to /outputs so far is kept.'
              : 'The job has not started, so nothing is charged. The money reserved for it becomes available again.'}
          </AlertDialogDescription>
        </div>
        <AlertDialogFooter>
          <AlertDialogCancel disabled={pending}>Keep it</AlertDialogCancel>
          <AlertDialogAction
            disabled={pending}
            onClick={(event) => {
              // The dialog stays until the answer is here.
              event.preventDefault();
              confirm();
            }}
          >
            {pending ? 'Cancelling…' : 'Cancel job'}
          </AlertDialogAction>
        </AlertDialogFooter>
      </AlertDialogContent>
    </AlertDialog>
  );
}
