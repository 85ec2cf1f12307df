import { Ago } from '@/components/shell/ago.tsx';
import { StatCard } from '@/components/shell/stat-card.tsx';
import { formatMoney, formatRate } from '@/lib/format-money.ts';
import { countOf } from '@/lib/format-size.ts';
import { jobListHref } from '@/lib/job-filter.ts';
import type { OverviewView } from '@/types/market-view.ts';

export function OverviewCards({ overview, now }: { overview: OverviewView; now: Date }) {
  return (
    <dl className="grid gap-px overflow-hidden rounded-lg border bg-border shadow-[0_1px_2px_rgb(0_0_0/0.04)] grid-cols-2 lg:grid-cols-4">
      <StatCard
        label="Running now"
        href={jobListHref({ filter: 'running' })}
        value={overview.runningNow}
        detail={
          overview.burnPerHourMicros > 0n
            ? `${formatRate(overview.burnPerHourMicros)} together`
            : 'nothing is being billed'
        }
      />
      <StatCard
        label="Spent this month"
        value={formatMoney(overview.spentThisMonthMicros)}
        detail={`${countOf(overview.jobsThisMonth, 'job')} submitted`}
      />
      <StatCard
        label="Queued"
        href={jobListHref({ filter: 'queued' })}
        value={overview.queued}
        detail={
          overview.oldestQueuedAt ? (
            <>
              oldest submitted <Ago at={overview.oldestQueuedAt} now={now} />
            </>
          ) : (
            'nothing waits'
          )
        }
      />
      <StatCard
        label="Failures, 24 h"
        href={jobListHref({ filter: 'failed' })}
        value={overview.failuresToday}
        tone={overview.failuresToday > 0 ? 'danger' : 'plain'}
        detail={compare(overview.failuresToday, overview.failuresYesterday)}
      />
    </dl>
  );
}

function compare(today: number, before: number): string {
  if (today === before) return today === 0 ? 'none the day before either' : 'as many as the day before';
  return `${Math.abs(today - before)} ${today > before ? 'more' : 'fewer'} than the day before`;
}
