import Link from 'next/link';
import { notFound } from 'next/navigation';
import { CancelGroupButton } from '@/components/groups/cancel-group-button.tsx';
import { GroupProgress } from '@/components/groups/group-progress.tsx';
import { GroupStateBadge } from '@/components/groups/group-state-badge.tsx';
import { JobList } from '@/components/jobs/job-list.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { StatCard } from '@/components/shell/stat-card.tsx';
import { Alert } from '@/components/ui/alert.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Card, CardContent } from '@/components/ui/card.tsx';
import { getDb } from '@/lib/db.ts';
import { formatDuration } from '@/lib/format-duration.ts';
import { formatMoney } from '@/lib/format-money.ts';
import { getGroup } from '@/lib/groups.ts';
import { listMembers } from '@/lib/queries/list-jobs.ts';
import { requireSession } from '@/lib/session.ts';

export const metadata = { title: 'Group' };

const refreshMs = 5_000;

interface GroupPageProps {
  params: Promise<{ groupId: string }>;
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}

export default async function GroupPage({ params, searchParams }: GroupPageProps) {
  const session = await requireSession();
  const group = await getGroup(session, (await params).groupId);
  if (!group) notFound();
  const { after } = await searchParams;
  const members = await listMembers(
    getDb(),
    session.viewer,
    group.id,
    typeof after === 'string' ? after : null,
  );
  const shape =
    group.kind === 'gang'
      ? `One job on ${group.size} machines at the same time.`
      : `The same job ${group.size} times${group.max_parallel === null ? '' : `, at most ${group.max_parallel} at a time`}.`;
  return (
    <>
      <LiveRefresh active={group.state === 'active'} intervalMs={refreshMs} />
      <PageHeader title={group.name} description={shape}>
        <GroupStateBadge state={group.state} />
        {group.state === 'active' ? (
          <CancelGroupButton
            groupId={group.id}
            groupName={group.name}
            isRequested={group.cancel_requested_at !== null}
          />
        ) : null}
      </PageHeader>
      <div className="flex flex-col gap-6">
        {group.waits_for.map((sentence) => (
          <Alert key={sentence} tone="attention" title={sentence} />
        ))}
        <Card aria-label="Progress">
          <CardContent>
            <GroupProgress group={group} />
          </CardContent>
        </Card>
        <dl className="grid gap-px overflow-hidden rounded-lg border bg-border sm:grid-cols-3">
          <StatCard
            label="Cost"
            value={formatMoney(BigInt(group.cost.accrued_micros))}
            detail={`of at most ${formatMoney(BigInt(group.cost.hold_micros))} for all members`}
          />
          <StatCard
            label="Billed"
            value={formatDuration(Math.round(group.cost.billed_ms / 1_000))}
            detail="of running, all members together"
          />
          <StatCard
            label="Without success"
            value={group.counts.failed + group.counts.expired + group.counts.cancelled}
            tone={group.counts.failed + group.counts.expired > 0 ? 'danger' : 'plain'}
            detail={`${group.counts.succeeded} succeeded`}
          />
        </dl>
        <Card>
          <JobList jobs={members.jobs} now={members.now} />
        </Card>
        {members.nextCursor ? (
          <nav aria-label="Pages" className="flex justify-end">
            <Button asChild variant="outline">
              <Link href={`/groups/${group.id}?after=${members.nextCursor}`}>More members</Link>
            </Button>
          </nav>
        ) : null}
      </div>
    </>
  );
}
