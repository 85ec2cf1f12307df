import { getDb } from '@/lib/db.ts';
import { logBytes } from '@/lib/log-download.ts';
import { orchestratorAs } from '@/lib/orchestrator.ts';
import { attachmentHeaders, bodyOf, plain } from '@/lib/passed-through.ts';
import { findJob } from '@/lib/queries/find-job.ts';
import { getSession } from '@/lib/session.ts';

interface Context {
  params: Promise<{ jobId: string }>;
}

/** Downloads all output of a job there is now, byte for byte as it was printed. */
export async function GET(request: Request, { params }: Context): Promise<Response> {
  const session = await getSession();
  if (!session) return plain(401, 'Sign in first.');
  const { jobId } = await params;
  const job = await findJob(getDb(), session.viewer, jobId);
  if (!job) return plain(404, 'There is no such job in your account.');
  const pages = orchestratorAs(session).logs.all(job.id, {}, { signal: request.signal });
  return new Response(bodyOf(logBytes(pages)), {
    headers: attachmentHeaders(`${job.name}.log`, 'text/plain; charset=utf-8'),
  });
}
