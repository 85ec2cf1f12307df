import { createHash } from 'node:crypto';
import { mismatch, type ObjectFacts } from './object-store.ts';

/**
 * Hands bytes on while it hashes them. Throws `artifact/hash-mismatch` before handing on a byte more than was
 * announced, and in the place of the end when size or hash are not as announced.
 */
export async function* checkedBytes(
  body: AsyncIterable<Uint8Array>,
  facts: ObjectFacts,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const bytes of body) {
    signal.throwIfAborted();
    sizeBytes += bytes.byteLength;
    // Checked before it is handed on: a sender cannot fill a disk beyond what it announced.
    if (sizeBytes > facts.sizeBytes) throw mismatch(`more than the ${facts.sizeBytes} bytes announced`);
    hash.update(bytes);
    yield bytes;
  }
  if (sizeBytes !== facts.sizeBytes)
    throw mismatch(`${sizeBytes} bytes, not the ${facts.sizeBytes} announced`);
  if (hash.digest('hex') !== facts.sha256) throw mismatch('another hash than announced');
}
