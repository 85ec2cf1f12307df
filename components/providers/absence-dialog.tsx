'use client';

import { type FormEvent, useState } from 'react';
import {
  AlertDialog,
  AlertDialogCancel,
  AlertDialogContent,
  AlertDialogDescription,
  AlertDialogFooter,
  AlertDialogTitle,
} from '@/components/ui/alert-dialog.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Field } from '@/components/ui/field.tsx';
import { Input } from '@/components/ui/input.tsx';

interface AbsenceDialogProps {
  machineName: string;
  onClose: () => void;
  /** Gives why it was refused; null when it is planned. */
  plan: (absence: { from: string; until: string }) => Promise<string | null>;
}

const hourMs = 3_600_000;

/** Asks from when to when a machine is away. Times are those of the reader's own zone. */
export function AbsenceDialog({ machineName, onClose, plan }: AbsenceDialogProps) {
  const [from, setFrom] = useState(() => localMinute(new Date(Date.now() + hourMs)));
  const [until, setUntil] = useState(() => localMinute(new Date(Date.now() + 4 * hourMs)));
  const [problem, setProblem] = useState<string | null>(null);
  const [pending, setPending] = useState(false);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const [begins, ends] = [new Date(from), new Date(until)];
    if (Number.isNaN(begins.getTime()) || Number.isNaN(ends.getTime()) || begins >= ends) {
      setProblem('Must be after it begins.');
      return;
    }
    setPending(true);
    const refused = await plan({ from: begins.toISOString(), until: ends.toISOString() });
    setPending(false);
    if (refused === null) onClose();
    else setProblem(refused);
  }

  return (
    <AlertDialog open onOpenChange={(open) => open || onClose()}>
      <AlertDialogContent>
        <form onSubmit={(event) => void submit(event)} noValidate className="grid gap-5">
          <div>
            <AlertDialogTitle>When is {machineName} away?</AlertDialogTitle>
            <AlertDialogDescription>
              Until then only jobs come that end before, or that save their state. What still runs when it
              begins moves to other machines.
            </AlertDialogDescription>
          </div>
          <Field name="away-from" label="From">
            {(control) => (
              <Input
                {...control}
                type="datetime-local"
                value={from}
                onChange={({ target }) => setFrom(target.value)}
              />
            )}
          </Field>
          <Field name="away-until" label="Until" error={problem ?? undefined}>
            {(control) => (
              <Input
                {...control}
                type="datetime-local"
                value={until}
                onChange={({ target }) => setUntil(target.value)}
              />
            )}
          </Field>
          <AlertDialogFooter>
            <AlertDialogCancel disabled={pending}>Leave it as it is</AlertDialogCancel>
            <Button type="submit" disabled={pending}>
              {pending ? 'Saving…' : 'Plan it'}
            </Button>
          </AlertDialogFooter>
        </form>
      </AlertDialogContent>
    </AlertDialog>
  );
}

/** As an input of a local date and time takes it: `2026-03-01T18:30`. */
function localMinute(moment: Date): string {
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 16);
}
