'use client';

import { CalendarClock, CalendarX, CirclePause, CirclePlay, LogOut, Settings2 } from 'lucide-react';
import { useState, useTransition } from 'react';
import { changeAvailability, type MachineWish } from '@/actions/machine-availability.ts';
import { AbsenceDialog } from '@/components/providers/absence-dialog.tsx';
import { Button } from '@/components/ui/button.tsx';
import {
  DropdownMenu,
  DropdownMenuContent,
  DropdownMenuItem,
  DropdownMenuTrigger,
} from '@/components/ui/dropdown-menu.tsx';
import { showError } from '@/components/ui/show-error.ts';

const hour = 3_600;
const choices = [
  { icon: CirclePause, label: 'Pause for 2 hours', wish: { kind: 'pause', forSeconds: 2 * hour } },
  { icon: CirclePause, label: 'Pause until I resume it', wish: { kind: 'pause', forSeconds: null } },
  { icon: LogOut, label: 'Empty it within an hour', wish: { kind: 'drain', withinSeconds: hour } },
  { icon: LogOut, label: 'Move its jobs away now', wish: { kind: 'drain', withinSeconds: 0 } },
] as const satisfies readonly { icon: unknown; label: string; wish: MachineWish }[];

interface AvailabilityMenuProps {
  machineId: string;
  machineName: string;
  isOpen: boolean;
  /** An absence is planned, or lasts. */
  isAbsencePlanned: boolean;
}

/** Where an owner takes a machine back, for a while or at once, and gives it work again. */
export function AvailabilityMenu({
  machineId,
  machineName,
  isOpen,
  isAbsencePlanned,
}: AvailabilityMenuProps) {
  const [pending, startTransition] = useTransition();
  const [asksForAbsence, setAsksForAbsence] = useState(false);

  function want(wish: MachineWish) {
    startTransition(async () => {
      const result = await changeAvailability(machineId, wish);
      if (result.kind === 'refused') await showError(result.message);
    });
  }

  return (
    <div className="flex flex-wrap gap-2">
      {isOpen ? null : (
        <Button variant="outline" size="sm" disabled={pending} onClick={() => want({ kind: 'resume' })}>
          <CirclePlay aria-hidden /> Resume
        </Button>
      )}
      <DropdownMenu>
        <DropdownMenuTrigger asChild>
          <Button
            variant="outline"
            size="sm"
            disabled={pending}
            aria-label={`Availability of ${machineName}`}
          >
            <Settings2 aria-hidden /> {pending ? 'Saving…' : 'Availability'}
          </Button>
        </DropdownMenuTrigger>
        <DropdownMenuContent align="end">
          {choices.map(({ icon: Icon, label, wish }) => (
            <DropdownMenuItem key={label} onSelect={() => want(wish)}>
              <Icon aria-hidden /> {label}
            </DropdownMenuItem>
          ))}
          <DropdownMenuItem onSelect={() => setAsksForAbsence(true)}>
            <CalendarClock aria-hidden />{' '}
            {isAbsencePlanned ? 'Change the planned absence' : 'Plan an absence'}
          </DropdownMenuItem>
          {isAbsencePlanned ? (
            <DropdownMenuItem onSelect={() => want({ kind: 'back' })}>
              <CalendarX aria-hidden /> Take the absence back
            </DropdownMenuItem>
          ) : null}
        </DropdownMenuContent>
      </DropdownMenu>
      {asksForAbsence ? (
        <AbsenceDialog
          machineName={machineName}
          onClose={() => setAsksForAbsence(false)}
          plan={async (absence) => {
            const result = await changeAvailability(machineId, { kind: 'away', ...absence });
            return result.kind === 'refused' ? result.message : null;
          }}
        />
      ) : null}
    </div>
  );
}
