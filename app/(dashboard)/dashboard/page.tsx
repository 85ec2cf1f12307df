import { ArrowRight, Plus } from 'lucide-react';
import Link from 'next/link';
import { AttentionList } from '@/components/jobs/attention-list.tsx';
import { GettingStarted } from '@/components/jobs/getting-started.tsx';
import { JobList } from '@/components/jobs/job-list.tsx';
import { OverviewCards } from '@/components/jobs/overview-cards.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Card, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { getDb } from '@/lib/db.ts';
import { getOverview, hasOnlineMachine } from '@/lib/queries/get-overview.ts';
import { requireSession } from '@/lib/session.ts';

export const metadata = { title: 'Overview' };

/** Something runs or waits: its numbers change by the second. */
const busyRefreshMs = 5_000;
/** Nothing has happened yet: the page waits for the first job from a terminal. */
const firstUseRefreshMs = 5_000;

export default async function OverviewPage() {
  const { viewer } = await requireSession();
  const [overview, hasMachine] = await Promise.all([getOverview(getDb(), viewer), hasOnlineMachine(getDb())]);
  const isFirstUse = overview.recentJobs.length === 0;
  return (
    <>
      <LiveRefresh
        active={overview.hasUnfinished || isFirstUse}
        intervalMs={isFirstUse ? firstUseRefreshMs : busyRefreshMs}
      />
      <PageHeader title="Overview">
        <Button asChild>
          <Link href="/jobs/new">
            <Plus aria-hidden /> New job
          </Link>
        </Button>
      </PageHeader>
      <div className="flex flex-col gap-6">
        {isFirstUse ? (
          <GettingStarted hasMachine={hasMachine} />
        ) : (
          <OverviewCards overview={overview} now={overview.now} />
        )}
        {overview.attention.length > 0 ? <AttentionList items={overview.attention} /> : null}
        {isFirstUse ? null : (
          <Card>
            <CardHeader>
              <CardTitle>Last jobs</CardTitle>
              <Link
                href="/jobs"
                className="flex items-center gap-1.5 text-sm font-medium text-primary hover:underline hover:underline-offset-4"
              >
                All jobs <ArrowRight aria-hidden className="size-4" />
              </Link>
            </CardHeader>
            <JobList jobs={overview.recentJobs} now={overview.now} />
          </Card>
        )}
      </div>
    </>
  );
}
