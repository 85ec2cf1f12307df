import { createHash } from 'node:crypto';
import type { CheckpointId } from '@computefabric/protocol/ids';
import { limits } from '@computefabric/protocol/limits';
import { downloadChunk } from '@computefabric/protocol/user-api/checkpoints';
import { HashMismatchError } from './errors.ts';
import { retrying } from './retrying.ts';
import type { Transport } from './transport.ts';

/** One chunk of a checkpoint, held against its hash; tried again after passing failures. */
export async function readChunk(
  transport: Transport,
  params: { job: string; checkpoint: CheckpointId; sha256: string },
  signal?: AbortSignal,
): Promise<Uint8Array> {
  return await retrying(transport, signal, async () => {
    const stream = await transport.open(downloadChunk, { params, signal });
    const parts: Uint8Array[] = [];
    let bytes = 0;
    for await (const part of stream.chunks) {
      bytes += part.byteLength;
      if (bytes > limits.checkpointChunkBytes) break;
      parts.push(part);
    }
    const chunk = Buffer.concat(parts);
    if (createHash('sha256').update(chunk).digest('hex') !== params.sha256)
      throw new HashMismatchError('the bytes of a chunk are not those that the server announced');
    return chunk;
  });
}
