import { Layers, Plus, SearchX } from 'lucide-react';
import Link from 'next/link';
import { GroupList } from '@/components/groups/group-list.tsx';
import { JobFilters } from '@/components/jobs/job-filters.tsx';
import { JobList } from '@/components/jobs/job-list.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Card } from '@/components/ui/card.tsx';
import { Empty } from '@/components/ui/empty.tsx';
import { getDb } from '@/lib/db.ts';
import { listGroups } from '@/lib/groups.ts';
import { jobFilters, jobListHref, type JobListRequest, readJobListRequest } from '@/lib/job-filter.ts';
import { listJobs } from '@/lib/queries/list-jobs.ts';
import { requireSession } from '@/lib/session.ts';

export const metadata = { title: 'Jobs' };

const refreshMs = 5_000;

interface JobsPageProps {
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}

export default async function JobsPage({ searchParams }: JobsPageProps) {
  const session = await requireSession();
  const { viewer } = session;
  const request = readJobListRequest(await searchParams);
  const isFirst = request.filter === null && request.search === '' && request.cursor === null;
  const [{ jobs, nextCursor, hasUnfinished, now }, groups] = await Promise.all([
    listJobs(getDb(), viewer, request),
    isFirst ? listGroups(session) : [],
  ]);
  const groupsGoOn = groups.some(({ state }) => state === 'active');
  return (
    <>
      <LiveRefresh active={hasUnfinished || groupsGoOn} intervalMs={refreshMs} />
      <PageHeader title="Jobs" description="Everything that you have submitted, newest first.">
        <NewJobButton />
      </PageHeader>
      <JobFilters key={request.filter} request={request} />
      {groups.length > 0 ? <GroupList groups={groups} /> : null}
      <Card>{jobs.length > 0 ? <JobList jobs={jobs} now={now} /> : <NoJobs request={request} />}</Card>
      {request.cursor || nextCursor ? (
        <nav aria-label="Pages" className="mt-4 flex justify-between gap-4">
          {request.cursor ? (
            <Button asChild variant="outline">
              <Link href={jobListHref({ ...request, cursor: null })}>Newest</Link>
            </Button>
          ) : (
            <span />
          )}
          {nextCursor ? (
            <Button asChild variant="outline">
              <Link href={jobListHref({ ...request, cursor: nextCursor })}>Older</Link>
            </Button>
          ) : null}
        </nav>
      ) : null}
    </>
  );
}

/** Three different ways of being empty, each with its own next step. */
function NoJobs({ request }: { request: JobListRequest }) {
  if (request.filter === null && request.search === '' && request.cursor === null) {
    return (
      <Empty icon={Layers} title="No jobs yet" action={<NewJobButton />}>
        A job is a container image and a command. Submit one here, or from a terminal with{' '}
        <code className="font-mono text-foreground">npx cfab submit</code>.
      </Empty>
    );
  }
  const wanted = [
    jobFilters.find((filter) => filter.key === request.filter)?.label.toLowerCase(),
    request.search === '' ? null : `“${request.search}”`,
  ].filter(Boolean);
  return (
    <Empty
      icon={SearchX}
      title={wanted.length > 0 ? `No jobs match ${wanted.join(' · ')}` : 'No older jobs'}
      action={
        <Button asChild variant="outline">
          <Link href="/jobs">{wanted.length > 0 ? 'Clear filters' : 'Back to the newest'}</Link>
        </Button>
      }
    />
  );
}

function NewJobButton() {
  return (
    <Button asChild>
      <Link href="/jobs/new">
        <Plus aria-hidden /> New job
      </Link>
    </Button>
  );
}
