import { notFound } from 'next/navigation';
import { DisputePanel } from '@/components/billing/dispute-panel.tsx';
import { Receipt } from '@/components/billing/receipt.tsx';
import { ArtifactList } from '@/components/jobs/artifact-list.tsx';
import { CheckpointList } from '@/components/jobs/checkpoint-list.tsx';
import { JobDetails } from '@/components/jobs/job-details.tsx';
import { JobHeader } from '@/components/jobs/job-header.tsx';
import { JobTimeline } from '@/components/jobs/job-timeline.tsx';
import { LogViewer } from '@/components/jobs/log-viewer.tsx';
import { PlacePanel } from '@/components/jobs/place-panel.tsx';
import { WaitingPanel } from '@/components/jobs/waiting-panel.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { Alert } from '@/components/ui/alert.tsx';
import { Card, CardContent } from '@/components/ui/card.tsx';
import { getBalance } from '@/lib/balance.ts';
import { getDb } from '@/lib/db.ts';
import { getPlace } from '@/lib/groups.ts';
import { getJob } from '@/lib/queries/get-job.ts';
import { findJob } from '@/lib/queries/find-job.ts';
import { getReceipt } from '@/lib/receipt.ts';
import { requireSession } from '@/lib/session.ts';
import { getWaiting } from '@/lib/waiting.ts';
import type { JobView } from '@/types/job-view.ts';

interface JobPageProps {
  params: Promise<{ jobId: string }>;
}

export async function generateMetadata({ params }: JobPageProps) {
  const { viewer } = await requireSession();
  const job = await findJob(getDb(), viewer, (await params).jobId);
  return { title: job?.name ?? 'Job' };
}

/** Events of the job refresh the page at once; this catches what makes none: progress of a download, the queue. */
const refreshMs = 5_000;
/** Settling takes a moment after the end and makes no event. */
const settlingMs = 1_500;

export default async function JobPage({ params }: JobPageProps) {
  const session = await requireSession();
  const found = await getJob(getDb(), session.viewer, (await params).jobId);
  if (!found) notFound();
  const { now } = found;
  const [balance, place, waiting, receipt] = await Promise.all([
    getBalance(),
    found.job.isMember || found.job.state === 'blocked' ? getPlace(session, found.job.id) : null,
    found.job.state === 'queued' ? getWaiting(session, found.job.id) : null,
    found.job.isSettled ? getReceipt(session, found.job.id) : null,
  ]);
  const job: JobView = { ...found.job, playMoney: balance?.playMoney ?? false };
  return (
    <>
      <LiveRefresh
        active={!job.isFinal || !job.isSettled}
        intervalMs={job.isFinal ? settlingMs : refreshMs}
      />
      <JobHeader job={job} now={now} />
      <div className="flex flex-col gap-6">
        <Outcome job={job} />
        {place ? <PlacePanel place={place} /> : null}
        {waiting ? <WaitingPanel waiting={waiting} /> : null}
        <Card aria-label="Timeline">
          <CardContent>
            <JobTimeline stretches={job.timeline} now={now} />
          </CardContent>
        </Card>
        <div className="grid grid-cols-1 items-start gap-6 xl:grid-cols-[minmax(0,1fr)_20rem]">
          <LogViewer
            jobId={job.id}
            shownEventSeq={job.events.at(-1)?.seq ?? 0}
            isFinal={job.isFinal}
            emptyText={emptyLogText(job)}
          />
          <div className="grid grid-cols-1 items-start gap-6 md:grid-cols-2 xl:grid-cols-1">
            <Receipt job={job} />
            {job.dispute ? <DisputePanel dispute={job.dispute} /> : null}
            <ArtifactList jobId={job.id} jobName={job.name} artifacts={job.artifacts} isFinal={job.isFinal} />
            {job.stateDirectory ? (
              <CheckpointList directory={job.stateDirectory} checkpoints={job.checkpoints} now={now} />
            ) : null}
          </div>
        </div>
        <JobDetails job={job} receipt={receipt} now={now} />
      </div>
    </>
  );
}

/** Why it did not succeed, and what could be done; nothing when it did. */
function Outcome({ job }: { job: JobView }) {
  if (!job.endSentence || job.state === 'succeeded' || job.state === 'cancelled') return null;
  const title = job.exitCode === null || job.exitCode === 0 ? job.endSentence : `Exit code ${job.exitCode}`;
  return (
    <Alert tone={job.state === 'failed' ? 'danger' : 'attention'} title={title}>
      {title === job.endSentence ? null : job.endSentence}
    </Alert>
  );
}

function emptyLogText(job: JobView): string {
  if (job.isFinal) return 'The program printed nothing.';
  if (job.state === 'blocked') return 'Output appears here once what it waits for has ended and it runs.';
  if (job.state === 'queued') return 'Output appears here once a machine runs the job.';
  if (job.state === 'preparing') return 'The machine is preparing the container.';
  return 'No output yet.';
}
