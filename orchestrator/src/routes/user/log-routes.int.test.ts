import { createJob, jobEvent, jobSummary } from '@computefabric/protocol/user-api/jobs';
import { getJobLogs, logEntry } from '@computefabric/protocol/user-api/logs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { leases } from '@computefabric/db/schema/leases';
import { eq, sql } from 'drizzle-orm';
import { streamsPerUser } from '../../run-logs/reader-slots.ts';
import { readSse, type SseEvent } from '../../testing/read-sse.ts';
import { errorOf, parsed } from '../../testing/replies.ts';
import { TestAgent, type TestTask } from '../../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../../testing/test-market.ts';
import { waitUntil } from '../../testing/wait-until.ts';

let market: TestMarket;
let renter: TestUser;
let agent: TestAgent;
beforeAll(async () => {
  market = await startTestMarket();
  renter = await market.addUser();
  agent = await TestAgent.join(market, await market.addUser(), { cpus: 64, memory_mib: 65_536 });
});
afterAll(() => market.close());

async function runningJob(): Promise<{ id: string; task: TestTask }> {
  const json = { image: 'busybox', command: 'x' };
  const { id } = parsed(
    createJob.reply,
    await market.call('/v1/jobs', { method: 'POST', token: renter.token, json }),
  );
  const task = await agent.acceptNext();
  await task.start();
  return { id, task };
}

const logs = async (id: string, query = '') =>
  parsed(getJobLogs.reply, await market.call(`/v1/jobs/${id}/logs${query}`, { token: renter.token }));

const stream = (id: string, options: { lastEventId?: string; signal?: AbortSignal } = {}) =>
  readSse(market, `/v1/jobs/${id}/stream`, { token: renter.token, ...options });

const collect = async (events: AsyncIterable<SseEvent>) => {
  const all: SseEvent[] = [];
  for await (const event of events) all.push(event);
  return all;
};

/** What the events say, shortly: output as its text, job events by type. */
const words = (events: readonly SseEvent[]) =>
  events.map(({ event, data }) => {
    if (event === 'log') return logEntry.parse(data).data;
    return event === 'job' ? `<${jobEvent.parse(data).type}>` : `<<${jobSummary.parse(data).state}>>`;
  });

describe('GET /v1/jobs/{job}/logs', () => {
  test('pages give every chunk once, in order, with the same cursor while there is nothing new', async () => {
    const { id, task } = await runningJob();
    await task.print(['a', 'b']);
    await task.print(['ü €'], 'stderr');
    const first = await logs(id, '?limit=2');
    expect(first.entries.map(({ data, seq, stream }) => [seq, stream, data])).toEqual([
      [0, 'stdout', 'a'],
      [1, 'stdout', 'b'],
    ]);
    const second = await logs(id, `?cursor=${first.next_cursor}`);
    expect(second.entries).toMatchObject([
      { attempt: 1, seq: 2, stream: 'stderr', encoding: 'utf-8', data: 'ü €' },
    ]);
    expect(second.complete).toBe(false);
    const third = await logs(id, `?cursor=${second.next_cursor}`);
    expect(third).toEqual({ entries: [], next_cursor: second.next_cursor, complete: false });
    await task.finish();
    expect(await logs(id, `?cursor=${second.next_cursor}`)).toEqual({ ...third, complete: true });
    expect((await logs(id, '?attempt=2')).entries).toEqual([]);
    expect((await logs(id, '?attempt=1')).entries).toHaveLength(3);
  });

  test('bytes that are not UTF-8 come back exactly, as base64', async () => {
    const { id, task } = await runningJob();
    await task.print(['ok']);
    const bytes = Buffer.from([0xff, 0x00, 0xfe]);
    const { entries } = await (async () => {
      await market.db.execute(
        sql`insert into log_chunks (lease_id, seq, stream, at, data) values (${task.leaseId}, 1, 'stdout', now(), ${bytes})`,
      );
      return await logs(id);
    })();
    expect(entries[1]).toMatchObject({ encoding: 'base64', data: bytes.toString('base64') });
    await task.finish();
  });

  test('400 for a cursor that is none', async () => {
    const { id, task } = await runningJob();
    for (const cursor of ['1', '1.2', 'a.b.c', '1.99999999999.0']) {
      const answer = await market.call(`/v1/jobs/${id}/logs?cursor=${cursor}`, { token: renter.token });
      expect(errorOf(answer)).toMatchObject({ code: 'request/invalid', fields: [{ path: 'cursor' }] });
    }
    await task.finish();
  });
});

describe('GET /v1/jobs/{job}/stream', () => {
  test('follows a job live and ends with its summary once all is sent', async () => {
    const { id, task } = await runningJob();
    const events: SseEvent[] = [];
    const following = (async () => {
      for await (const event of stream(id)) events.push(event);
    })();
    await waitUntil('the start is seen', async () => words(events).includes('<started>'));
    for (const text of ['one\n', 'two\n', 'three\n']) {
      await task.print([text]);
      // Each piece arrives by a signal, long before the stream's own look around.
      await waitUntil(`${text} is seen`, async () => words(events).includes(text), 3_000);
    }
    await task.finish(3);
    await following;
    expect(words(events)).toEqual([
      '<submitted>',
      '<matched>',
      '<accepted>',
      '<started>',
      'one\n',
      'two\n',
      'three\n',
      '<exited>',
      '<ended>',
      '<<failed>>',
    ]);
    expect(events.at(-1)?.data).toMatchObject({ id, exit_code: 3, end_reason: 'exited-nonzero' });
  });

  test('resumed after any event, by header or query, it goes on there without gap or repeat', async () => {
    const { id, task } = await runningJob();
    await task.print(['a', 'b', 'c']);
    await task.print(['d']);
    await task.finish();
    // The summary at the end tells the time; all else is the same whenever it is asked for.
    const timeless = (events: SseEvent[]) =>
      events.map((e) => (e.event === 'end' ? { ...e, data: 'summary' } : e));
    const whole = await collect(stream(id));
    expect(words(whole).join(' ')).toBe(
      '<submitted> <matched> <accepted> <started> a b c d <exited> <ended> <<succeeded>>',
    );
    for (const [index, { id: lastEventId }] of whole.entries()) {
      const rest = whole.slice(index + 1);
      const expected = rest.length === 0 ? whole.slice(-1) : rest; // after the end: the end again
      expect(timeless(await collect(stream(id, { lastEventId }))), `after ${lastEventId}`).toEqual(
        timeless(expected),
      );
      const byQuery = readSse(market, `/v1/jobs/${id}/stream?cursor=${lastEventId}`, { token: renter.token });
      expect(timeless(await collect(byQuery))).toEqual(timeless(expected));
    }
  });

  test('readers that are cut at random places while two tries write see each piece once, in order', async () => {
    const { id, task } = await runningJob();
    const expected = [
      ...Array.from({ length: 60 }, (_, n) => `1.${n}`),
      ...Array.from({ length: 60 }, (_, n) => `2.${n}`),
    ];
    const writing = (async () => {
      for (let n = 0; n < 60; n += 3) await task.print([`1.${n}`, `1.${n + 1}`, `1.${n + 2}`]);
      // The machine falls silent: the try is lost and the job runs again.
      await market.db
        .update(leases)
        .set({ expiresAt: sql`now() - interval '1 s'` })
        .where(eq(leases.id, task.leaseId));
      const second = await agent.acceptNext();
      await second.start();
      for (let n = 0; n < 60; n += 2) await second.print([`2.${n}`, `2.${n + 1}`]);
      await second.finish();
    })();
    const readers = [1, 2, 3].map(async (cutAfter) => {
      const seen: SseEvent[] = [];
      while (seen.at(-1)?.event !== 'end') {
        const cut = new AbortController();
        const lastEventId = seen.at(-1)?.id;
        let count = 0;
        for await (const event of stream(id, lastEventId === undefined ? {} : { lastEventId })) {
          seen.push(event);
          count += 1;
          if (count === cutAfter * 7) break;
        }
        cut.abort();
      }
      return seen;
    });
    await writing;
    for (const seen of await Promise.all(readers)) {
      expect(words(seen).filter((text) => !text.startsWith('<'))).toEqual(expected);
      const numbers = seen.filter(({ event }) => event === 'job').map(({ data }) => jobEvent.parse(data).seq);
      expect(numbers).toEqual(numbers.map((_, index) => index + 1));
    }
  });

  test('is sent so that no proxy keeps, compresses or collects it; HEAD does not hang on it', async () => {
    const { id, task } = await runningJob();
    const stop = new AbortController();
    const response = await fetch(`${market.url}/v1/jobs/${id}/stream`, {
      headers: { authorization: `Bearer ${renter.token}` },
      signal: stop.signal,
    });
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
    expect(response.headers.get('cache-control')).toContain('no-transform');
    expect(response.headers.get('x-accel-buffering')).toBe('no');
    stop.abort();
    const head = await market.call(`/v1/jobs/${id}/stream`, { method: 'HEAD', token: renter.token });
    expect(head.status).toBe(405);
    await task.finish();
  });

  test(`503 for more than ${streamsPerUser} streams of one user, and room again when they close`, async () => {
    const { id, task } = await runningJob();
    const crowd = await market.addUser();
    const json = { image: 'busybox', requirements: { gpus: 8 } };
    const own = parsed(
      createJob.reply,
      await market.call('/v1/jobs', { method: 'POST', token: crowd.token, json }),
    );
    const stop = new AbortController();
    const open = () =>
      fetch(`${market.url}/v1/jobs/${own.id}/stream`, {
        headers: { authorization: `Bearer ${crowd.token}` },
        signal: stop.signal,
      });
    const answers = await Promise.all(Array.from({ length: streamsPerUser }, open));
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const tooMany = await market.call(`/v1/jobs/${own.id}/stream`, { token: crowd.token });
    expect(tooMany.status).toBe(503);
    expect(errorOf(tooMany).code).toBe('server/busy');
    // Another user is not touched by that.
    await task.finish();
    expect((await collect(stream(id))).length).toBeGreaterThan(0);
    stop.abort();
    await waitUntil('there is room again', async () => {
      const again = new AbortController();
      const { status } = await fetch(`${market.url}/v1/jobs/${own.id}/stream`, {
        headers: { authorization: `Bearer ${crowd.token}` },
        signal: again.signal,
      });
      again.abort();
      return status === 200;
    });
  });
});
