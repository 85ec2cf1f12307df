import { posix } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Response } from 'express';
import { invariant } from '@computefabric/runtime/invariant';
import type { ArtifactRow } from './artifact.store.ts';
import type { ObjectStore } from '../objects/object-store.ts';
import { parseByteRange } from './byte-range.ts';

/**
 * Sends a result file as a download: whole, or the one range that was asked for, so that a broken download
 * can go on. Always as plain bytes to be saved: a job's file must never run in somebody's browser as ours.
 */
export async function sendArtifact(
  objects: ObjectStore,
  artifact: ArtifactRow,
  asked: { range: string | undefined; ifNoneMatch: string | undefined; ifRange: string | undefined },
  response: Response,
  signal: AbortSignal,
): Promise<void> {
  const etag = `"${artifact.sha256}"`;
  response.set({
    'content-type': 'application/octet-stream',
    'content-disposition': contentDisposition(posix.basename(artifact.path)),
    'cache-control': 'private, no-cache',
    'accept-ranges': 'bytes',
    etag,
  });
  if (asked.ifNoneMatch === etag) {
    response.status(304).end();
    return;
  }
  // A range of a file that has changed since the first part would be a mix of two files.
  const usable = asked.ifRange === undefined || asked.ifRange === etag;
  const range = parseByteRange(usable ? asked.range : undefined, artifact.sizeBytes);
  if (range === 'unsatisfiable') {
    response.status(416).set('content-range', `bytes */${artifact.sizeBytes}`).end();
    return;
  }
  const { start, end } = range === 'whole' ? { start: 0, end: artifact.sizeBytes - 1 } : range;
  const bytes = await objects.open(artifact.blobKey, { start, end });
  invariant(bytes, `the bytes of ${artifact.id} are in the object store`);
  response.set('content-length', String(end - start + 1));
  if (range !== 'whole')
    response.status(206).set('content-range', `bytes ${start}-${end}/${artifact.sizeBytes}`);
  try {
    await pipeline(bytes, response, { signal });
  } catch (thrown) {
    if (!signal.aborted) throw thrown; // else the client went away in the middle, which is its right
  }
}

/** The name for old clients in plain ASCII and the true one beside it (RFC 6266). */
function contentDisposition(name: string): string {
  const ascii = name.replace(/[^\x20-\x7e]|["\\%]/g, '_');
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
