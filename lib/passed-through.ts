import 'server-only';

import { ApiError, UnexpectedReplyError, UnreachableError } from '@computefabric/api-client/errors';
import { toError } from '@computefabric/runtime/errors';
import { log } from './log.ts';

/** Bytes of an upstream answer as the body of ours. When the reader leaves, the upstream is let go too. */
export function bodyOf(chunks: AsyncGenerator<Uint8Array, void, undefined>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await chunks.next();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch (thrown) {
        // The browser sees a broken transfer, which is what happened: an event stream reconnects, and a
        // download is not taken for complete.
        controller.error(toError(thrown));
      }
    },
    async cancel() {
      await chunks.return();
    },
  });
}

/** The answer to a request for a file or a stream that the upstream refused, or that its reader gave up. */
export function refusal(thrown: unknown, reader: AbortSignal): Response {
  if (reader.aborted) return plain(499, 'The reader has left.');
  if (thrown instanceof ApiError) return plain(thrown.status, thrown.message);
  if (thrown instanceof UnreachableError || thrown instanceof UnexpectedReplyError) {
    log.warn({ err: thrown }, 'orchestrator not available');
    return plain(503, 'The market does not answer at the moment.');
  }
  throw thrown;
}

export function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, { status, headers: { 'content-type': 'text/plain; charset=utf-8' } });
}

/**
 * Headers of a download. Whatever a job wrote is only ever saved: never shown as a page of ours, and if a
 * browser shows it all the same, in a sandbox without scripts.
 */
export function attachmentHeaders(fileName: string, contentType: string): Record<string, string> {
  const ascii = fileName.replaceAll(/[^\x20-\x7e]|["\\%]/g, '_');
  return {
    'content-type': contentType,
    'content-disposition': `attachment; filename="${ascii}"; filename*=UTF-8''${encodeRfc5987(fileName)}`,
    'content-security-policy': "default-src 'none'; sandbox",
    'cache-control': 'private, no-store',
  };
}

function encodeRfc5987(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
