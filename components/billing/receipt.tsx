import type { ReactNode } from 'react';
import { ContestJob } from '@/components/billing/contest-job.tsx';
import { CostTicker } from '@/components/billing/cost-ticker.tsx';
import { JobLimitDialog } from '@/components/billing/job-limit-dialog.tsx';
import { PaymentStateBadge } from '@/components/billing/payment-state-badge.tsx';
import { Card, CardContent, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { Progress } from '@/components/ui/progress.tsx';
import { formatMetered } from '@/lib/format-duration.ts';
import { formatMoney, formatMoneyExact, formatRate } from '@/lib/format-money.ts';
import type { JobView } from '@/types/job-view.ts';

/** What a job costs: while it runs against its limit, afterwards as the bill whose lines add up. */
export function Receipt({ job }: { job: JobView }) {
  const billed = job.attempts.filter((attempt) => attempt.costMicros > 0n);
  const refunded = job.dispute?.refundMicros ?? 0n;
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
                  name={`${formatMetered(attempt.billedMs)} × ${formatRate(attempt.microsPerHour)}`}
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
              {refunded > 0n ? (
                <>
                  <Line name="Refunded">−{formatMoneyExact(refunded)}</Line>
                  <Line name="Paid" strong>
                    {formatMoneyExact(job.cost.accruedMicros - refunded)}
                  </Line>
                </>
              ) : null}
              {job.isSettled ? (
                <Line name="Reserved at submit, given back">
                  {formatMoneyExact(job.holdMicros - job.cost.accruedMicros)}
                </Line>
              ) : null}
            </>
          ) : (
            <Line name="The most it may cost">{formatMoney(job.holdMicros)}</Line>
          )}
          {job.maxCostMicros === null ? null : (
            <Line name="Its own limit">{formatMoneyExact(job.maxCostMicros)}</Line>
          )}
        </dl>
        <p className="text-xs text-muted-foreground">
          {job.playMoney ? 'Play money: nobody is charged. ' : ''}
          {job.isFinal
            ? 'Seconds are measured by the market, not by the machine.'
            : 'Billing starts when your program starts and stops when it ends.'}
        </p>
        {job.isFinal ? null : <JobLimitDialog job={job} />}
        {job.isSettled && job.dispute === null && job.cost.accruedMicros > 0n ? (
          <div>
            <ContestJob jobId={job.id} jobName={job.name} />
          </div>
        ) : null}
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
