import { streamCursor } from '@computefabric/protocol/user-api/logs';
import { openJobStream } from '@/lib/orchestrator.ts';
import { bodyOf, plain, refusal } from '@/lib/passed-through.ts';
import { getSession } from '@/lib/session.ts';

interface Context {
  params: Promise<{ jobId: string }>;
}

/**
 * A job's output and events, live. The orchestrator's stream is passed through with the viewer's key, which
 * the browser never sees. A reconnecting browser says where it stopped, in a header or in the address.
 */
export async function GET(request: Request, { params }: Context): Promise<Response> {
  const session = await getSession();
  if (!session) return plain(401, 'Sign in first.');
  const asked = request.headers.get('last-event-id') ?? new URL(request.url).searchParams.get('cursor');
  const cursor = streamCursor.safeParse(asked);
  try {
    const { jobId } = await params;
    const { chunks } = await openJobStream(
      session,
      jobId,
      cursor.success ? cursor.data : null,
      request.signal,
    );
    return new Response(bodyOf(chunks), {
      headers: {
        'content-type': 'text/event-stream; charset=utf-8',
        // Compression would hold back lines until there is enough to compress.
        'cache-control': 'no-cache, no-transform',
        'x-accel-buffering': 'no',
      },
    });
  } catch (thrown) {
    return refusal(thrown, request.signal);
  }
}
