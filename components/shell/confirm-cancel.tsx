'use client';

import { CircleStop } from 'lucide-react';
import { useState, useTransition } from 'react';
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

interface ConfirmCancelProps {
  /** What the button says, and the one that confirms. */
  label: string;
  question: string;
  consequence: string;
  /** What the button says that leaves everything as it is. */
  keepLabel: string;
  /** Cancelling was asked for already. */
  isRequested: boolean;
  cancel: () => Promise<{ kind: string; message?: string }>;
}

/** Asks once more before something is cancelled, and says what that means. */
export function ConfirmCancel(props: ConfirmCancelProps) {
  const { label, question, consequence, keepLabel, isRequested, cancel } = props;
  const [open, setOpen] = useState(false);
  const [pending, startTransition] = useTransition();

  function confirm() {
    startTransition(async () => {
      const result = await cancel();
      if (result.kind === 'refused' && result.message) await showError(result.message);
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
          <CircleStop aria-hidden /> {label}
        </Button>
      </AlertDialogTrigger>
      <AlertDialogContent>
        <div>
          <AlertDialogTitle>{question}</AlertDialogTitle>
          <AlertDialogDescription>{consequence}</AlertDialogDescription>
        </div>
        <AlertDialogFooter>
          <AlertDialogCancel disabled={pending}>{keepLabel}</AlertDialogCancel>
          <AlertDialogAction
            disabled={pending}
            onClick={(event) => {
              // The dialog stays until the answer is here.
              event.preventDefault();
              confirm();
            }}
          >
            {pending ? 'Cancelling…' : label}
          </AlertDialogAction>
        </AlertDialogFooter>
      </AlertDialogContent>
    </AlertDialog>
  );
}
