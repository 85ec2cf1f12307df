'use client';

import { type FormEvent, type ReactNode, useState } from 'react';
import {
  AlertDialog,
  AlertDialogCancel,
  AlertDialogContent,
  AlertDialogDescription,
  AlertDialogFooter,
  AlertDialogTitle,
  AlertDialogTrigger,
} from '@/components/ui/alert-dialog.tsx';
import { Button } from '@/components/ui/button.tsx';

interface FormDialogProps {
  /** The button that opens it. */
  trigger: ReactNode;
  title: string;
  description: ReactNode;
  /** What the button says that does it, and while it does. */
  submitLabel: string;
  pendingLabel: string;
  /** What the button says that leaves everything as it is. */
  keepLabel: string;
  /** Does it; true closes the dialog, false leaves it open with what the fields say. */
  submit: () => Promise<boolean>;
  /** Called whenever it opens: fields begin anew. */
  onOpen?: () => void;
  children?: ReactNode;
}

/** A few fields in front of the page. What was typed stays while an answer is on its way or was no. */
export function FormDialog(props: FormDialogProps) {
  const { trigger, title, description, submitLabel, pendingLabel, keepLabel, submit, onOpen, children } =
    props;
  const [open, setOpen] = useState(false);
  const [pending, setPending] = useState(false);

  function change(next: boolean) {
    if (next) onOpen?.();
    setOpen(next);
  }

  async function onSubmit(event: FormEvent) {
    event.preventDefault();
    setPending(true);
    try {
      if (await submit()) setOpen(false);
    } finally {
      setPending(false);
    }
  }

  return (
    <AlertDialog open={open} onOpenChange={change}>
      <AlertDialogTrigger asChild>{trigger}</AlertDialogTrigger>
      <AlertDialogContent>
        <form onSubmit={(event) => void onSubmit(event)} noValidate className="grid min-w-0 gap-5">
          <div>
            <AlertDialogTitle>{title}</AlertDialogTitle>
            <AlertDialogDescription>{description}</AlertDialogDescription>
          </div>
          {children}
          <AlertDialogFooter>
            <AlertDialogCancel disabled={pending}>{keepLabel}</AlertDialogCancel>
            <Button type="submit" disabled={pending}>
              {pending ? pendingLabel : submitLabel}
            </Button>
          </AlertDialogFooter>
        </form>
      </AlertDialogContent>
    </AlertDialog>
  );
}
