import Link from 'next/link';
import { CostTicker } from '@/components/billing/cost-ticker.tsx';
import { JobStateBadge } from '@/components/jobs/job-state-badge.tsx';
import { Ago } from '@/components/shell/ago.tsx';
import { RunningTime } from '@/components/shell/running-time.tsx';
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '@/components/ui/table.tsx';
import type { JobListItem } from '@/types/job-view.ts';

/** Jobs as a table; as cards where a table would not fit. The caller says what to show when there are none. */
export function JobList({ jobs, now }: { jobs: JobListItem[]; now: Date }) {
  return (
    <>
      <div className="hidden md:block">
        <Table>
          <caption className="sr-only">Jobs, newest first</caption>
          <TableHeader>
            <TableRow>
              <TableHead>Job</TableHead>
              <TableHead>State</TableHead>
              <TableHead>Hardware</TableHead>
              <TableHead className="text-right">Ran</TableHead>
              <TableHead className="text-right">Cost</TableHead>
              <TableHead className="text-right">Submitted</TableHead>
            </TableRow>
          </TableHeader>
          <TableBody>
            {jobs.map((job) => (
              <TableRow key={job.id} className="relative hover:bg-accent/45">
                <TableCell className="max-w-72">
                  {/* The link's ground covers the row, so that the whole row can be clicked. */}
                  <Link
                    href={`/jobs/${job.id}`}
                    className="block truncate font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-ring"
                  >
                    {job.name}
                  </Link>
                  <span className="block truncate font-mono text-xs text-muted-foreground">{job.image}</span>
                </TableCell>
                <TableCell className="max-w-56">
                  <JobStateBadge state={job.state} />
                  <StateNote job={job} className="mt-1 truncate" />
                </TableCell>
                <TableCell className="whitespace-nowrap">{job.hardware}</TableCell>
                <TableCell className="text-right">
                  <Ran job={job} now={now} />
                </TableCell>
                <TableCell className="text-right">
                  <CostTicker reading={job.cost} />
                </TableCell>
                <TableCell className="text-right text-muted-foreground">
                  <Ago at={job.submittedAt} now={now} />
                </TableCell>
              </TableRow>
            ))}
          </TableBody>
        </Table>
      </div>
      <ul className="divide-y md:hidden">
        {jobs.map((job) => (
          <li key={job.id} className="relative px-4 py-3.5">
            <div className="flex items-start justify-between gap-3">
              <Link
                href={`/jobs/${job.id}`}
                className="min-w-0 truncate font-medium after:absolute after:inset-0"
              >
                {job.name}
              </Link>
              <JobStateBadge state={job.state} />
            </div>
            <p className="mt-0.5 truncate font-mono text-xs text-muted-foreground">{job.image}</p>
            <StateNote job={job} className="mt-1" />
            <p className="mt-2 flex flex-wrap gap-x-4 gap-y-1 text-[0.8125rem] text-muted-foreground">
              <span>{job.hardware}</span>
              {job.startedAt ? (
                <span>
                  ran <Ran job={job} now={now} />
                </span>
              ) : null}
              <CostTicker reading={job.cost} className="text-foreground" />
              <span className="ml-auto">
                <Ago at={job.submittedAt} now={now} />
              </span>
            </p>
          </li>
        ))}
      </ul>
    </>
  );
}

/** Why it ended, where that is not plain from the state. */
function StateNote({ job, className }: { job: JobListItem; className: string }) {
  if (!job.endSentence || job.state === 'succeeded' || job.state === 'cancelled') return null;
  return (
    <p className={`text-xs text-muted-foreground ${className}`} title={job.endSentence}>
      {job.exitCode !== null && job.exitCode !== 0 ? `Exit code ${job.exitCode}. ` : ''}
      {job.endSentence}
    </p>
  );
}

function Ran({ job, now }: { job: JobListItem; now: Date }) {
  if (!job.startedAt) return <span className="text-muted-foreground">–</span>;
  return <RunningTime from={job.startedAt} to={job.exitedAt ?? job.finishedAt} now={now} />;
}
