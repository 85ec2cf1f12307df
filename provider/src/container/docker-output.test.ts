import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { DockerEngine } from './docker-engine.ts';
import { AttachedOutput } from './docker-output.ts';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'setTimeout', 'clearTimeout', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A line as the engine sends it. */
function frame(text: string): Buffer {
  const payload = Buffer.from(text);
  const head = Buffer.alloc(8);
  head[0] = 1;
  head.writeUInt32BE(payload.length, 4);
  return Buffer.concat([head, payload]);
}

/** An attachment whose far end is in our hands. */
async function attach(hasEnded: () => Promise<boolean>) {
  const stream = new IncomingMessage(new Socket());
  const engine = new DockerEngine({ socketPath: '/nowhere' });
  vi.spyOn(engine, 'open').mockResolvedValue(stream);
  const live = await AttachedOutput.open(engine, 'task', hasEnded);
  let text = '';
  const reading = (async () => {
    for await (const { data } of live) text += Buffer.from(data).toString('utf8');
  })();
  return { stream, reading, text: () => text };
}

test('output that reaches us a moment after the end of its program was noted is not lost', async () => {
  let ended = false;
  const { stream, reading, text } = await attach(async () => ended);
  // The start takes a while, in which nothing can come.
  await vi.advanceTimersByTimeAsync(4_700);
  ended = true;
  // Several looks find that it is over before its output has got here.
  await vi.advanceTimersByTimeAsync(1_500);
  stream.push(frame('all that it said\n'));
  await vi.advanceTimersByTimeAsync(100);
  stream.push(null);
  await reading;
  expect(text()).toBe('all that it said\n');
});

test('the output of a program that had ended before is over when nothing comes', async () => {
  const { reading, text } = await attach(async () => true);
  await vi.advanceTimersByTimeAsync(5_000);
  await reading;
  expect(text()).toBe('');
});

test('a program that is silent and runs is waited for', async () => {
  let ended = false;
  const { stream, reading, text } = await attach(async () => ended);
  await vi.advanceTimersByTimeAsync(60_000);
  stream.push(frame('at last\n'));
  ended = true;
  await vi.advanceTimersByTimeAsync(5_000);
  await reading;
  expect(text()).toBe('at last\n');
});
