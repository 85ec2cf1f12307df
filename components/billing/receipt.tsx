import type { ReactNode } from 'react';
import { CostTicker } from '@/components/billing/cost-ticker.tsx';
import { PaymentStateBadge } from '@/components/billing/payment-state-badge.tsx';
import { Card, CardContent, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { Progress } from '@/components/ui/progress.tsx';
import { formatMoney, formatMoneyExact, formatRate } from '@/lib/format-money.ts';
import type { JobView } from '@/types/job-view.ts';

/** What a job costs: while it runs against its limit, afterwards as the bill whose lines add up. */
export function Receipt({ job }: { job: JobView }) {
  const billed = job.attempts.filter((attempt) => attempt.costMicros > 0n);
  return (
    <Card>
      <CardHeader>
        <CardTitle>{job.isFinal ? 'Receipt' : 'Cost'}</CardTitle>
        <PaymentStateBadge state={job.paymentState} />
      </CardHeader>
      <CardContent className="flex flex-col gap-3">
        <p className="text-2xl font-semibold tracking-tight">
          <CostTicker reading={job.cost} />
          {job.cost.billable ? (
            <span className="ml-2 text-sm font-normal text-muted-foreground">
              {formatRate(job.cost.microsPerHour)}
            </span>
          ) : null}
        </p>
        {job.isFinal ? null : (
          <Progress
            label="Share of the most it may cost, at the last reading"
            value={Number(job.cost.accruedMicros)}
            max={Number(job.holdMicros)}
            tone={job.cost.accruedMicros * 5n > job.holdMicros * 4n ? 'attention' : 'primary'}
          />
        )}
        <dl className="flex flex-col gap-2 text-sm">
          {job.isFinal
            ? billed.map((attempt) => (
                <Line
                  key={attempt.id}
                  name={`${formatSeconds(attempt.billedMs)} × ${formatRate(attempt.microsPerHour)}`}
                >
                  {formatMoneyExact(attempt.costMicros)}
                </Line>
              ))
            : null}
          {job.isFinal ? (
            <>
              {billed.length === 0 ? <Line name="Nothing was billed">{formatMoneyExact(0n)}</Line> : null}
              <Line name="Total" strong>
                {formatMoneyExact(job.cost.accruedMicros)}
              </Line>
              {job.paymentState === 'succeeded' ? (
                <Line name="Reserved at submit, given back">
                  {formatMoneyExact(job.holdMicros - job.cost.accruedMicros)}
                </Line>
              ) : null}
            </>
          ) : (
            <Line name="The most it may cost">{formatMoney(job.holdMicros)}</Line>
          )}
        </dl>
        <p className="text-xs text-muted-foreground">
          {job.playMoney ? 'Play money: nobody is charged. ' : ''}
          {job.isFinal
            ? 'Seconds are measured by the market, not by the machine.'
            : 'Billing starts when your program starts and stops when it ends.'}
        </p>
      </CardContent>
    </Card>
  );
}

function Line({ name, strong = false, children }: { name: string; strong?: boolean; children: ReactNode }) {
  return (
    <div
      className={
        strong ? 'flex justify-between gap-4 border-t pt-2 font-medium' : 'flex justify-between gap-4'
      }
    >
      <dt className={strong ? '' : 'text-muted-foreground'}>{name}</dt>
      <dd className="shrink-0 tabular-nums">{children}</dd>
    </div>
  );
}

/** Metered time to the millisecond, so that the line can be checked with a calculator. */
function formatSeconds(milliseconds: number): string {
  return `${(milliseconds / 1_000).toLocaleString('en-US', { maximumFractionDigits: 3 })} s`;
}
