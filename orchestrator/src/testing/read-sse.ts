import type { TestMarket } from './test-market.ts';

export interface SseEvent {
  event: string;
  id: string;
  data: unknown;
}

/** Events of a stream as they come; ends with the stream. Comments are left out. */
export async function* readSse(
  market: TestMarket,
  path: string,
  { token, lastEventId, signal }: { token: string; lastEventId?: string; signal?: AbortSignal },
): AsyncGenerator<SseEvent> {
  const response = await fetch(`${market.url}${path}`, {
    headers: {
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    ...(signal === undefined ? {} : { signal }),
  });
  if (!response.body || response.status !== 200)
    throw new Error(`stream: ${response.status} ${await response.text()}`);
  const decoder = new TextDecoder();
  let text = '';
  for await (const bytes of response.body) {
    text += decoder.decode(bytes, { stream: true });
    for (let end = text.indexOf('\n\n'); end !== -1; end = text.indexOf('\n\n')) {
      const message = text.slice(0, end);
      text = text.slice(end + 2);
      const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(message)?.[1];
      const event = field('event');
      if (event !== undefined)
        yield { event, id: field('id') ?? '', data: JSON.parse(field('data') ?? 'null') };
    }
  }
}
