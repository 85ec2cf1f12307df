import type { LogEntry } from '@computefabric/protocol/user-api/logs';

/**
 * The exact bytes of a job's output, in the order in which they were read. Before every try but the first
 * stands a line that says so.
 */
export async function* logBytes(
  pages: AsyncIterable<{ entries: readonly LogEntry[] }>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new TextEncoder();
  let attempt: number | null = null;
  for await (const page of pages) {
    for (const entry of page.entries) {
      if (attempt !== null && entry.attempt !== attempt)
        yield encoder.encode(`\n--- try ${entry.attempt} ---\n`);
      attempt = entry.attempt;
      yield entry.encoding === 'utf-8' ? encoder.encode(entry.data) : Buffer.from(entry.data, 'base64');
    }
  }
}
