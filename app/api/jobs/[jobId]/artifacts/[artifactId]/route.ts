import { getDb } from '@/lib/db.ts';
import { openArtifact } from '@/lib/orchestrator.ts';
import { attachmentHeaders, bodyOf, plain, refusal } from '@/lib/passed-through.ts';
import { findArtifact } from '@/lib/queries/find-artifact.ts';
import { getSession } from '@/lib/session.ts';

interface Context {
  params: Promise<{ jobId: string; artifactId: string }>;
}

/** Downloads one result file. */
export async function GET(request: Request, { params }: Context): Promise<Response> {
  const session = await getSession();
  if (!session) return plain(401, 'Sign in first.');
  const { jobId, artifactId } = await params;
  const artifact = await findArtifact(getDb(), session.viewer, jobId, artifactId);
  if (!artifact) return plain(404, 'There is no such result file.');
  try {
    const { chunks } = await openArtifact(session, artifact.jobId, artifact.id, request.signal);
    const name = artifact.path.split('/').at(-1) ?? artifact.path;
    return new Response(bodyOf(chunks), {
      headers: {
        ...attachmentHeaders(name, 'application/octet-stream'),
        'content-length': String(artifact.sizeBytes),
      },
    });
  } catch (thrown) {
    return refusal(thrown, request.signal);
  }
}
