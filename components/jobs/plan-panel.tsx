import { CircleCheck, Hourglass, Lightbulb, TriangleAlert } from 'lucide-react';
import Link from 'next/link';
import type { ReactNode } from 'react';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Badge } from '@/components/ui/badge.tsx';
import { Card, CardContent, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { Skeleton } from '@/components/ui/skeleton.tsx';
import { cn } from '@/lib/cn.ts';
import { formatDuration } from '@/lib/format-duration.ts';
import { formatMoney, formatRate } from '@/lib/format-money.ts';
import { countOf } from '@/lib/format-size.ts';
import type { PlanEstimate, PlanView } from '@/types/plan-view.ts';

const shownOffers = 3;

interface PlanPanelProps {
  /** Null until the first plan is here. */
  plan: PlanView | null;
  planning: boolean;
  /** The form as it stands has no plan; the one shown, if any, is of an earlier state. */
  hasErrors: boolean;
  /** Why there is no plan, when the reason is at no field. */
  formError: string | null;
}

/** Which machines would take the job, what it costs an hour, and the most it can cost. */
export function PlanPanel({ plan, planning, hasErrors, formError }: PlanPanelProps) {
  return (
    <Card aria-label="Plan" aria-busy={planning}>
      <CardHeader>
        <CardTitle>Plan</CardTitle>
        <span role="status" className="text-xs text-muted-foreground">
          {planning ? 'Updating…' : hasErrors ? 'Waiting for the form' : ''}
        </span>
      </CardHeader>
      <CardContent
        className={cn('flex flex-col gap-4 transition-opacity', hasErrors && plan && 'opacity-55')}
      >
        {plan ? <Plan plan={plan} /> : hasErrors ? <NoPlan reason={formError} /> : <PlanSkeleton />}
      </CardContent>
    </Card>
  );
}

function NoPlan({ reason }: { reason: string | null }) {
  return (
    <p className="text-sm text-muted-foreground">
      {reason ?? 'Machines and prices appear here as soon as the form says what to run.'}
    </p>
  );
}

function Plan({ plan }: { plan: PlanView }) {
  const more = plan.offers.length - shownOffers;
  return (
    <>
      {plan.offers.length > 0 ? (
        <>
          <Verdict icon={<CircleCheck aria-hidden className="text-success" />}>
            {countOf(plan.offers.length, 'machine')} can start {plan.jobs === 1 ? 'it' : 'one of them'} now
          </Verdict>
          <ol className="divide-y rounded-md border">
            {plan.offers.slice(0, shownOffers).map((offer) => (
              <li
                key={offer.providerId}
                className="flex items-start justify-between gap-3 px-3 py-2.5 text-sm"
              >
                <span className="min-w-0">
                  <span className="flex flex-wrap items-center gap-2 font-medium">
                    {offer.machineName}
                    {offer.simulated ? <Badge tone="outline">simulated</Badge> : null}
                  </span>
                  <span className="block text-xs text-muted-foreground">{offer.hardware}</span>
                </span>
                <span className="shrink-0 font-medium tabular-nums">{formatRate(offer.microsPerHour)}</span>
              </li>
            ))}
          </ol>
          {more > 0 ? <p className="-mt-2 text-xs text-muted-foreground">and {more} more</p> : null}
        </>
      ) : (
        <Wait plan={plan} />
      )}
      {plan.estimate ? <Expected estimate={plan.estimate} jobs={plan.jobs} /> : null}
      <dl className="flex flex-col gap-2 text-sm">
        {plan.jobs === 1 ? null : <Line name="Jobs">{plan.jobs.toLocaleString('en')}</Line>}
        <Line name={plan.jobs === 1 ? 'The most it may cost' : 'The most all may cost'}>
          {formatMoney(plan.holdMicros)}
        </Line>
        <Line name={plan.jobs === 1 ? 'Stopped after' : 'Each stopped after'}>
          {formatDuration(plan.timeLimitSeconds)}
        </Line>
        <Line name={plan.playMoney ? 'Play money left' : 'Balance'}>{formatMoney(plan.balanceMicros)}</Line>
      </dl>
      {plan.affordable ? (
        <p className="text-xs text-muted-foreground">
          You are charged from the moment your program runs, by the second. Waiting and pulling the image cost
          nothing.
          {plan.playMoney ? ' With play money, nobody is charged.' : ''}
        </p>
      ) : (
        <Verdict icon={<TriangleAlert aria-hidden className="text-attention" />}>
          The balance does not cover the most {plan.jobs === 1 ? 'it' : 'all'} may cost. Lower the time limit
          or the price limit, set a limit on the cost{plan.jobs === 1 ? '' : ', or submit fewer'}, or{' '}
          <Link href="/billing" className="text-primary underline underline-offset-4">
            top up
          </Link>
          .
        </Verdict>
      )}
    </>
  );
}

/** What it comes to, most likely, and when: ranges with what they are made from. */
function Expected({ estimate, jobs }: { estimate: PlanEstimate; jobs: number }) {
  const { costLowMicros, costHighMicros, finishEarliest, finishLatest, pastRuns } = estimate;
  return (
    <div className="rounded-md bg-accent px-3 py-2.5 text-sm text-accent-foreground">
      <p className="font-medium tabular-nums">
        {jobs === 1 ? 'Expected' : 'Each, expected'}: {formatMoney(costLowMicros)}
        {costHighMicros === costLowMicros ? '' : ` to ${formatMoney(costHighMicros)}`}
      </p>
      <p className="mt-0.5 text-[0.8125rem]">
        {finishEarliest && finishLatest ? (
          <>
            Done between <LocalTime at={finishEarliest} show="time" /> and{' '}
            <LocalTime at={finishLatest} show={isSoon(finishLatest) ? 'time' : 'date-time'} />.{' '}
          </>
        ) : (
          'When it would be done cannot be said while it waits. '
        )}
        {pastRuns === 0
          ? 'From its limits alone: you have not run this program before.'
          : `From ${countOf(pastRuns, 'earlier run')} of the same program.`}
      </p>
    </div>
  );
}

function isSoon(moment: Date): boolean {
  return moment.getTime() - Date.now() < 12 * 3_600_000;
}

function Wait({ plan }: { plan: PlanView }) {
  return (
    <>
      <Verdict icon={<Hourglass aria-hidden className="text-attention" />}>
        {plan.waiting?.summary ?? 'No machine is free for it now.'} It would wait in the queue.
      </Verdict>
      {plan.waiting && plan.waiting.filters.length > 0 ? (
        <ul className="divide-y rounded-md border text-[0.8125rem]">
          {plan.waiting.filters.map((rule) => (
            <li key={rule.filter} className="px-3 py-2">
              {rule.sentence}
            </li>
          ))}
        </ul>
      ) : null}
      {plan.waiting?.suggestion ? (
        <Verdict icon={<Lightbulb aria-hidden className="text-primary" />}>{plan.waiting.suggestion}</Verdict>
      ) : null}
    </>
  );
}

function Verdict({ icon, children }: { icon: ReactNode; children: ReactNode }) {
  return (
    <p className="flex items-start gap-2.5 text-sm [&_svg]:mt-0.5 [&_svg]:size-4 [&_svg]:shrink-0">
      {icon}
      <span className="min-w-0">{children}</span>
    </p>
  );
}

function Line({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="flex justify-between gap-4">
      <dt className="text-muted-foreground">{name}</dt>
      <dd className="font-medium tabular-nums">{children}</dd>
    </div>
  );
}

function PlanSkeleton() {
  return (
    <>
      <Skeleton className="h-5 w-2/3" />
      <Skeleton className="h-28" />
      <Skeleton className="h-16" />
    </>
  );
}
