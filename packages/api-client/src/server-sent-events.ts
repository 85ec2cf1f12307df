import { createParser, type EventSourceMessage } from 'eventsource-parser';

/** The messages in a stream of bytes. Comments are left out: they only keep the connection awake. */
export async function* readServerSentEvents(
  chunks: AsyncIterable<Uint8Array>,
  onRetry?: (ms: number) => void,
): AsyncGenerator<EventSourceMessage, void, undefined> {
  let arrived: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => arrived.push(message), onRetry });
  const decoder = new TextDecoder();
  for await (const chunk of chunks) {
    parser.feed(decoder.decode(chunk, { stream: true }));
    const batch = arrived;
    arrived = [];
    yield* batch;
  }
}
