import { SubmitForm } from '@/components/jobs/submit-form.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { getDb } from '@/lib/db.ts';
import { draftFromJob, emptyDraft } from '@/lib/job-to-draft.ts';
import { findJob } from '@/lib/queries/find-job.ts';
import { requireSession } from '@/lib/session.ts';

export const metadata = { title: 'New job' };

interface NewJobPageProps {
  searchParams: Promise<{ from?: string | string[] }>;
}

/** The submit form; `?from=<job id>` fills it with one of the viewer's jobs. */
export default async function NewJobPage({ searchParams }: NewJobPageProps) {
  const { viewer } = await requireSession();
  const { from } = await searchParams;
  const source = typeof from === 'string' ? await findJob(getDb(), viewer, from) : null;
  return (
    <>
      <PageHeader
        title="New job"
        description={
          source
            ? `Filled in from ${source.name}. Nothing is spent before you submit.`
            : 'Nothing is spent before you submit.'
        }
      />
      <SubmitForm key={source?.id} initialDraft={source ? draftFromJob(source) : emptyDraft} />
    </>
  );
}
