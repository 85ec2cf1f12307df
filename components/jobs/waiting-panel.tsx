import { Hourglass, Lightbulb } from 'lucide-react';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Card, CardContent } from '@/components/ui/card.tsx';
import { countOf } from '@/lib/format-size.ts';
import type { WaitingView } from '@/types/job-view.ts';

/** Why a job has no machine: which rule excludes how many, and the smallest change that would help. */
export function WaitingPanel({ waiting }: { waiting: WaitingView }) {
  return (
    <Card aria-label="Why it waits">
      <CardContent className="flex flex-col gap-4">
        <div className="flex items-start gap-3">
          <Hourglass aria-hidden className="mt-0.5 size-4.5 shrink-0 text-attention" />
          <div className="min-w-0">
            <h2 className="text-sm font-semibold tracking-tight">{waiting.summary}</h2>
            <p className="mt-1 text-sm text-muted-foreground">
              {waiting.position > 0 ? `Place ${waiting.position} in the queue. ` : ''}
              {waiting.machines > 0 ? `Looked at ${countOf(waiting.machines, 'machine')}. ` : ''}
              Waiting costs nothing.
            </p>
            {waiting.expectedStart ? (
              <p className="mt-1 text-sm text-muted-foreground">
                Starts by <LocalTime at={waiting.expectedStart} /> at the latest, unless a job that goes first
                comes in; earlier, if something ends before its time limit.
              </p>
            ) : null}
          </div>
        </div>
        {waiting.filters.length > 0 ? (
          <ul className="divide-y rounded-md border">
            {waiting.filters.map((rule) => (
              <li
                key={rule.filter}
                className="flex flex-wrap items-baseline justify-between gap-x-4 gap-y-1 px-3 py-2 text-sm"
              >
                <span className="min-w-0">{rule.sentence}</span>
                <span className="shrink-0 text-muted-foreground tabular-nums">
                  {rule.sole > 0 ? `the only obstacle for ${rule.sole}` : 'not the only obstacle'}
                </span>
              </li>
            ))}
          </ul>
        ) : null}
        {waiting.suggestion ? (
          <p className="flex items-start gap-2.5 text-sm">
            <Lightbulb aria-hidden className="mt-0.5 size-4 shrink-0 text-primary" />
            <span className="min-w-0">
              <span className="font-medium">What would change it: </span>
              {waiting.suggestion}
            </span>
          </p>
        ) : null}
      </CardContent>
    </Card>
  );
}
