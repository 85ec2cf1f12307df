'use client';

import { Pause, Play } from 'lucide-react';
import { useTransition } from 'react';
import { changeSchedule } from '@/actions/change-schedule.ts';
import { Button } from '@/components/ui/button.tsx';
import { showError } from '@/components/ui/show-error.ts';

/** Pauses a schedule that fires, resumes one that does not. */
export function ScheduleSwitch({ id, name, active }: { id: string; name: string; active: boolean }) {
  const [pending, startTransition] = useTransition();
  function change() {
    startTransition(async () => {
      const result = await changeSchedule(id, active ? 'paused' : 'active');
      if (result.kind === 'refused') await showError(result.message);
    });
  }
  const word = active ? 'Pause' : 'Resume';
  return (
    <Button variant="outline" disabled={pending} onClick={change} aria-label={`${word} ${name}`}>
      {active ? <Pause aria-hidden /> : <Play aria-hidden />} {word}
    </Button>
  );
}
