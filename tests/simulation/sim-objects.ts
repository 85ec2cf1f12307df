import { Readable } from 'node:stream';
import { mismatch, type ObjectStore } from '../../orchestrator/src/objects/object-store.ts';
import { createHash } from 'node:crypto';

/** The object store of a run: one for all orchestrators, and it outlives each of them. */
export class SimObjects implements ObjectStore {
  readonly #objects = new Map<string, Buffer>();

  async put(
    key: string,
    body: AsyncIterable<Uint8Array>,
    { sha256, sizeBytes }: { sha256: string; sizeBytes: number },
  ): Promise<void> {
    const parts: Uint8Array[] = [];
    for await (const part of body) parts.push(part);
    const bytes = Buffer.concat(parts);
    if (bytes.byteLength !== sizeBytes) throw mismatch('of another size');
    if (createHash('sha256').update(bytes).digest('hex') !== sha256) throw mismatch('others');
    this.#objects.set(key, bytes);
  }

  async open(key: string, { start, end }: { start: number; end: number }): Promise<Readable | null> {
    const bytes = this.#objects.get(key);
    return bytes ? Readable.from([bytes.subarray(start, end + 1)]) : null;
  }

  async remove(key: string): Promise<void> {
    this.#objects.delete(key);
  }
}
