import { Ban, Check, CircleX, type LucideIcon, Minus } from 'lucide-react';
import { RunningTime } from '@/components/shell/running-time.tsx';
import { cn } from '@/lib/cn.ts';
import type { Stretch, StretchState } from '@/types/job-view.ts';

/** A job's life from submit to the saved result, with how long each stretch took and who was at work. */
export function JobTimeline({ stretches, now }: { stretches: Stretch[]; now: Date }) {
  return (
    <ol className="grid gap-x-3 gap-y-0 md:grid-cols-5">
      {stretches.map((stretch, index) => (
        <li
          key={stretch.key}
          aria-current={stretch.state === 'current' ? 'step' : undefined}
          className="relative flex gap-3 pb-5 last:pb-0 md:flex-col md:gap-2.5 md:pb-0"
        >
          {index < stretches.length - 1 ? (
            <span
              aria-hidden
              className={cn(
                'absolute top-6 bottom-0 left-[11px] w-0.5 md:top-[11px] md:right-0 md:bottom-auto md:left-9 md:h-0.5 md:w-auto',
                stretch.state === 'done' ? 'bg-primary' : 'bg-border',
              )}
            />
          ) : null}
          <Mark state={stretch.state} />
          <div className={cn('min-w-0', isOff(stretch.state) && 'text-muted-foreground')}>
            <p className="flex flex-wrap items-baseline gap-x-2 text-sm font-medium">
              {stretch.label}
              {stretch.startedAt && !isOff(stretch.state) ? (
                <span className="font-normal text-muted-foreground">
                  <RunningTime from={stretch.startedAt} to={stretch.endedAt} now={now} />
                </span>
              ) : null}
            </p>
            <p className="text-xs break-words text-muted-foreground">{describe(stretch)}</p>
          </div>
        </li>
      ))}
    </ol>
  );
}

function describe(stretch: Stretch): string {
  const billing = stretch.billed ? 'billed per second' : 'not billed';
  switch (stretch.state) {
    case 'current':
      return stretch.note ? `${stretch.note} · ${billing}` : billing;
    case 'went-wrong':
      return 'ended here';
    case 'cancelled':
      return 'cancelled here';
    case 'done':
      return stretch.note ?? billing;
    case 'ahead':
      return billing;
    case 'skipped':
      return 'not reached';
  }
}

function isOff(state: StretchState): boolean {
  return state === 'ahead' || state === 'skipped';
}

const marks: Record<StretchState, { icon: LucideIcon | null; className: string; word: string }> = {
  done: { icon: Check, className: 'bg-primary text-primary-foreground', word: 'Done: ' },
  current: { icon: null, className: 'border-2 border-primary bg-card', word: 'Now: ' },
  ahead: { icon: null, className: 'border-2 border-border bg-card', word: 'Later: ' },
  'went-wrong': { icon: CircleX, className: 'bg-danger-surface text-danger', word: 'Ended here: ' },
  cancelled: { icon: Ban, className: 'bg-neutral-surface text-neutral', word: 'Cancelled here: ' },
  skipped: { icon: Minus, className: 'bg-neutral-surface text-neutral', word: 'Not reached: ' },
};

function Mark({ state }: { state: StretchState }) {
  const { icon: Icon, className, word } = marks[state];
  return (
    <span className={cn('relative grid size-6 shrink-0 place-items-center rounded-full', className)}>
      {Icon ? <Icon aria-hidden className="size-3.5" /> : null}
      {state === 'current' ? (
        <span aria-hidden className="size-2 animate-pulse rounded-full bg-primary" />
      ) : null}
      <span className="sr-only">{word}</span>
    </span>
  );
}
