'use client';

import { CircleStop } from 'lucide-react';
import { useState, useTransition } from 'react';
import { cancelGroup } from '@/actions/cancel-group.ts';
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

interface CancelGroupButtonProps {
  groupId: string;
  groupName: string;
  isRequested: boolean;
}

export function CancelGroupButton({ groupId, groupName, isRequested }: CancelGroupButtonProps) {
  const [open, setOpen] = useState(false);
  const [pending, startTransition] = useTransition();

  function confirm() {
    startTransition(async () => {
      const result = await cancelGroup(groupId);
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
          <CircleStop aria-hidden /> Cancel all
        </Button>
      </AlertDialogTrigger>
      <AlertDialogContent>
        <div>
          <AlertDialogTitle>Cancel all of {groupName}?</AlertDialogTitle>
          <AlertDialogDescription>
            Members that run are asked to stop and are billed until they have. Those that wait end at once and
            cost nothing.
          </AlertDialogDescription>
        </div>
        <AlertDialogFooter>
          <AlertDialogCancel disabled={pending}>Keep them</AlertDialogCancel>
          <AlertDialogAction
            disabled={pending}
            onClick={(event) => {
              // The dialog stays until the answer is here.
              event.preventDefault();
              confirm();
            }}
          >
            {pending ? 'Cancelling…' : 'Cancel all'}
          </AlertDialogAction>
        </AlertDialogFooter>
      </AlertDialogContent>
    </AlertDialog>
  );
}
