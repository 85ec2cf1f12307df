import { getDb } from '@/lib/db.ts';
import { orchestratorAs } from '@/lib/orchestrator.ts';
import { attachmentHeaders, plain, refusal } from '@/lib/passed-through.ts';
import { findJob } from '@/lib/queries/find-job.ts';
import { getSession } from '@/lib/session.ts';

interface Context {
  params: Promise<{ jobId: string }>;
}

/** Downloads the signed receipt of an ended job, as `cfab receipt --file` checks it. */
export async function GET(request: Request, { params }: Context): Promise<Response> {
  const session = await getSession();
  if (!session) return plain(401, 'Sign in first.');
  const { jobId } = await params;
  const job = await findJob(getDb(), session.viewer, jobId);
  if (!job) return plain(404, 'There is no such job in your account.');
  try {
    const receipt = await orchestratorAs(session).receipts.get(job.id, { signal: request.signal });
    return new Response(`${JSON.stringify(receipt, null, 2)}\n`, {
      headers: attachmentHeaders(`${job.name}-receipt.json`, 'application/json'),
    });
  } catch (thrown) {
    return refusal(thrown, request.signal);
  }
}
