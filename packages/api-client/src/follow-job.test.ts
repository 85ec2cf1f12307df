import { streamJob } from '@computefabric/protocol/user-api/logs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createClient } from './client.ts';
import { ApiError } from './errors.ts';
import type { FollowItem, FollowOptions } from './follow-job.ts';
import { FakeMarket, startEvents } from './testing/fake-market.ts';
import { cursorAt, jobStream, type StreamItem } from './testing/job-stream.ts';
import { sampleEndedJob, sampleEvent, sampleLog, summaryOf } from './testing/sample-data.ts';

const job = sampleEndedJob();
let market: FakeMarket;

beforeEach(async () => {
  market = await FakeMarket.start();
});
afterEach(() => market.stop());

function follow(options: FollowOptions = {}, silenceMs?: number) {
  const client = createClient({
    baseUrl: market.url,
    token: 'x',
    retry: { retries: 2, baseMs: 1, maxMs: 20 },
    silenceMs,
  });
  return client.jobs.follow(job.id, options);
}

async function collect(items: AsyncIterable<FollowItem>): Promise<FollowItem[]> {
  const all: FollowItem[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Ten lines, two events and the end. */
function story(): StreamItem[] {
  const lines = Array.from({ length: 10 }, (_, seq) => ({
    type: 'log' as const,
    data: sampleLog(seq, `line ${seq}\n`),
  }));
  return [
    { type: 'job', data: sampleEvent(1) },
    ...lines.slice(0, 5),
    { type: 'job', data: sampleEvent(2, { type: 'started', state: 'running' }) },
    ...lines.slice(5),
    { type: 'end', data: summaryOf(job) },
  ];
}

function textOf(items: FollowItem[]): string {
  return items.map((item) => (item.kind === 'log' ? item.entry.data : '')).join('');
}

const wholeText = Array.from({ length: 10 }, (_, seq) => `line ${seq}\n`).join('');

test('a stream is followed to its end, in order', async () => {
  market.on(streamJob, jobStream({ steps: story() }));
  const items = await collect(follow());
  expect(items.map(({ kind }) => kind).join(' ')).toBe('job log log log log log job log log log log log end');
  expect(textOf(items)).toBe(wholeText);
  expect(items.at(-1)).toMatchObject({ job: { id: job.id, state: 'succeeded' } });
});

test('connections cut at any point leave no gap and no repeat', async () => {
  for (let first = 0; first <= 12; first += 1) {
    market.on(streamJob, jobStream({ steps: story(), cutAfter: [first, 0, 3], repeats: first % 2 === 1 }));
    const back: number[] = [];
    const items = await collect(follow({ onReconnect: ({ downMs }) => back.push(downMs) }));
    expect(textOf(items)).toBe(wholeText);
    expect(items.filter(({ kind }) => kind === 'job')).toHaveLength(2);
    expect(items.filter(({ kind }) => kind === 'end')).toHaveLength(1);
    expect(back.length).toBeGreaterThanOrEqual(2);
  }
});

test('a connection that is made again says where it broke, so that nothing is sent twice', async () => {
  market.on(streamJob, jobStream({ steps: story(), cutAfter: [4] }));
  await collect(follow());
  const asked = market.seen(streamJob).map(({ headers }) => headers['last-event-id']);
  expect(asked).toEqual([undefined, cursorAt(3)]);
});

test('a kept cursor resumes in another process', async () => {
  market.on(streamJob, jobStream({ steps: story() }));
  const first: FollowItem[] = [];
  for await (const item of follow()) {
    first.push(item);
    if (first.length === 4) break;
  }
  const rest = await collect(follow({ cursor: first.at(-1)?.cursor }));
  expect(textOf([...first, ...rest])).toBe(wholeText);
});

test('a connection that falls silent is dropped and made again; a comment is not silence', async () => {
  let connections = 0;
  market.on(streamJob, (request) => async (response, incoming) => {
    connections += 1;
    if (connections === 1) {
      startEvents(response); // and never a byte more
      return;
    }
    if (connections === 2) {
      startEvents(response);
      const comments = setInterval(() => response.write(': awake\n\n'), 20);
      response.on('close', () => clearInterval(comments));
      setTimeout(() => response.destroy(), 400);
      return;
    }
    await jobStream({ steps: story() })(request)(response, incoming);
  });
  const lost: string[] = [];
  const startedAt = performance.now();
  const items = await collect(follow({ onLost: ({ error }) => lost.push(String(error)) }, 150));
  expect(textOf(items)).toBe(wholeText);
  expect(lost[0]).toMatch(/did not answer within 0\.[12] s/);
  expect(performance.now() - startedAt).toBeGreaterThan(500);
});

test('a try on another machine starts its numbers again and is not taken for a repeat', async () => {
  const steps: StreamItem[] = [
    { type: 'log', data: sampleLog(0, 'a') },
    { type: 'log', data: sampleLog(1, 'b') },
    { type: 'log', data: sampleLog(0, 'c', { attempt: 2 }) },
    { type: 'log', data: sampleLog(1, 'd', { attempt: 2 }) },
    { type: 'end', data: summaryOf(job) },
  ];
  market.on(streamJob, jobStream({ steps }));
  expect(textOf(await collect(follow()))).toBe('abcd');
});

test('an event of a kind that this version does not know is passed over', async () => {
  market.on(streamJob, () => (response) => {
    startEvents(response);
    response.write('event: weather\nid: 1.0.0\ndata: {"rain":true}\n\n');
    response.end(`event: end\nid: 1.1.0\ndata: ${JSON.stringify(summaryOf(job))}\n\n`);
  });
  expect((await collect(follow())).map(({ kind }) => kind)).toEqual(['end']);
});

test('a refusal ends it at once and is not repeated', async () => {
  market.on(streamJob, () => ({ refuse: 'job/not-found' }));
  await expect(collect(follow())).rejects.toBeInstanceOf(ApiError);
  expect(market.seen(streamJob)).toHaveLength(1);
});

test('a server that accepts and closes again and again is given up', async () => {
  market.on(streamJob, () => (response) => {
    startEvents(response);
    response.end();
  });
  await expect(collect(follow({ giveUpAfterMs: 100 }))).rejects.toMatchObject({ name: 'UnreachableError' });
  expect(market.seen(streamJob).length).toBeLessThan(100);
});

test('a server that was never there is given up after the usual repeats', async () => {
  const gone = market.url;
  await market.stop();
  const client = createClient({ baseUrl: gone, retry: { retries: 2, baseMs: 1, maxMs: 2 } });
  let losses = 0;
  const following = collect(client.jobs.follow(job.id, { onLost: () => (losses += 1) }));
  await expect(following).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  expect(losses).toBe(2);
  market = await FakeMarket.start();
});

test('the caller can stop it while it waits for output, and the connection is closed', async () => {
  let closed = false;
  market.on(streamJob, () => (response) => {
    startEvents(response);
    response.on('close', () => (closed = true));
  });
  const stop = new AbortController();
  setTimeout(() => stop.abort(new Error('enough')), 30);
  await expect(collect(follow({ signal: stop.signal }))).rejects.toThrow('enough');
  await expect.poll(() => closed).toBe(true);
});
