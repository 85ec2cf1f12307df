import { CopyPlus } from 'lucide-react';
import Link from 'next/link';
import type { ReactNode } from 'react';
import { CostTicker } from '@/components/billing/cost-ticker.tsx';
import { CancelButton } from '@/components/jobs/cancel-button.tsx';
import { JobStateBadge } from '@/components/jobs/job-state-badge.tsx';
import { RunningTime } from '@/components/shell/running-time.tsx';
import { Button } from '@/components/ui/button.tsx';
import { CopyButton } from '@/components/ui/copy-button.tsx';
import { formatRate } from '@/lib/format-money.ts';
import type { JobView } from '@/types/job-view.ts';

/** What one wants to know at every moment of a job, and the way to stop it. Stays in view. */
export function JobHeader({ job, now }: { job: JobView; now: Date }) {
  const attempt = job.attempts.at(-1);
  return (
    <div className="-mx-4 mb-6 border-b bg-background px-4 pt-1 pb-4 md:sticky md:top-15 md:z-20 sm:-mx-6 sm:px-6 lg:-mx-8 lg:-mt-2 lg:px-8">
      <div className="flex flex-wrap items-center justify-between gap-x-6 gap-y-3">
        <div className="flex min-w-0 flex-wrap items-center gap-x-3 gap-y-2">
          <h1 className="min-w-0 truncate text-2xl font-semibold tracking-tight">{job.name}</h1>
          <CopyButton
            value={job.id}
            label="Copy job id"
            iconOnly
            variant="ghost"
            className="-ml-2 text-muted-foreground"
          />
          <span role="status">
            <JobStateBadge state={job.state} withBilling />
          </span>
        </div>
        <div className="flex items-center gap-2">
          {job.isFinal ? (
            <Button asChild variant="outline">
              <Link href={`/jobs/new?from=${job.id}`}>
                <CopyPlus aria-hidden /> Edit and run again
              </Link>
            </Button>
          ) : (
            <CancelButton
              jobId={job.id}
              jobName={job.name}
              isRunning={job.state === 'running' || job.state === 'finishing'}
              isRequested={job.cancelRequestedAt !== null}
            />
          )}
        </div>
      </div>
      <dl className="mt-3 flex flex-wrap gap-x-8 gap-y-2 text-sm">
        <Fact name="Machine">{attempt && job.state !== 'queued' ? attempt.machineName : 'none yet'}</Fact>
        <Fact name="Hardware">
          {job.hardware}
          {job.simulated ? <span className="text-muted-foreground"> (simulated)</span> : null}
        </Fact>
        <Fact name={job.startedAt ? 'Run time' : 'Waiting'}>
          <RunningTime
            from={job.startedAt ?? job.submittedAt}
            to={job.startedAt ? (job.exitedAt ?? job.finishedAt) : job.finishedAt}
            now={now}
          />
        </Fact>
        <Fact name="Cost">
          <CostTicker reading={job.cost} className="font-medium" />
          {job.cost.billable ? (
            <span className="text-muted-foreground"> at {formatRate(job.cost.microsPerHour)}</span>
          ) : null}
        </Fact>
        {job.exitCode === null ? null : <Fact name="Exit code">{job.exitCode}</Fact>}
      </dl>
    </div>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="eyebrow text-muted-foreground">{name}</dt>
      <dd className="mt-0.5 truncate">{children}</dd>
    </div>
  );
}
