import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeLogFrames, type LogChunk } from '@computefabric/protocol/log-frames';
import { systemClock } from '@computefabric/runtime/clock';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { type EngineStream, engineStreams } from './chunk-cutter.ts';
import { LogShipper } from './log-shipper.ts';
import { LogSpool, spoolStart } from './log-spool.ts';

const folder = mkdtempSync(join(tmpdir(), 'cf-spool-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;
function newPath(): string {
  files += 1;
  return join(folder, `${files}.spool`);
}

const options = { clock: systemClock, flushMs: 1 };

/** What an engine has to say: both streams in full, readable from any offset, as the driver promises. */
interface Script {
  stream: EngineStream;
  data: Buffer;
}

test('a kill after any byte of the file loses nothing and repeats nothing', async () => {
  const output = fc.array(
    fc.record({
      stream: fc.constantFrom(...engineStreams),
      data: fc.uint8Array({ minLength: 1, maxLength: 3_000 }),
    }),
    { minLength: 1, maxLength: 20 },
  );
  await fc.assert(
    fc.asyncProperty(
      output,
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 4 }),
      async (pieces, crashes) => {
        const script = pieces.map(({ stream, data }) => ({ stream, data: Buffer.from(data) }));
        const path = newPath();
        const shipped: LogChunk[] = [];
        for (const part of crashes) {
          const spool = await LogSpool.open(path, options);
          await play(script, spool, Math.ceil(script.length * part));
          // Whatever was on disk may have been sent already; the crash may only cut what came after.
          const sent = await spool.read(spoolStart, 2_000);
          for (const chunk of sent.chunks.slice(shipped.length)) shipped.push(copyOf(chunk));
          await spool.close();
          const size = readFileSync(path).length;
          const kept = Math.max((await offsetOf(path, shipped.length)) ?? 0, Math.floor(size * part));
          truncateSync(path, kept);
        }
        const spool = await LogSpool.open(path, options);
        await play(script, spool, script.length);
        await spool.finish();
        const all = await everything(spool);
        expect(all.slice(0, shipped.length).map(withoutTime)).toEqual(shipped.map(withoutTime));
        for (const stream of engineStreams)
          expect(bytesOf(all, stream).equals(fullOutput(script, stream))).toBe(true);
        expect(all.map(({ seq }) => seq)).toEqual(all.map((_, at) => at));
        await spool.close();
      },
    ),
    { numRuns: 60 },
  );
});

test('a torn or damaged tail is cut off and what came before stays', async () => {
  const path = newPath();
  const first = await LogSpool.open(path, options);
  await first.append('stdout', Buffer.from('whole\n'));
  await first.close();
  appendFileSync(path, Buffer.from([0, 0, 0, 5, 1, 2, 3, 4, 0, 0]));
  const again = await LogSpool.open(path, options);
  expect(again.consumed).toEqual({ stdout: 6, stderr: 0 });
  expect(again.chunks).toBe(1);
  await again.append('stdout', Buffer.from('more\n'));
  await again.finish();
  expect(bytesOf(await everything(again), 'stdout').toString()).toBe('whole\nmore\n');
  await again.close();
});

test('past the limit output is dropped for good, and the remarks say so once, with the exact number', async () => {
  const path = newPath();
  const small = { ...options, limitBytes: 1_000 };
  const script: Script[] = [
    { stream: 'stdout', data: Buffer.alloc(600, 'a') },
    { stream: 'stderr', data: Buffer.alloc(600, 'b') },
    { stream: 'stdout', data: Buffer.alloc(5, 'c') },
  ];
  for (let run = 0; run < 3; run += 1) {
    const spool = await LogSpool.open(path, small);
    await play(script, spool, script.length);
    await spool.finish();
    const all = await everything(spool);
    expect(bytesOf(all, 'stdout').toString()).toBe('a'.repeat(600));
    expect(bytesOf(all, 'stderr')).toHaveLength(0);
    const remarks = bytesOf(all, 'system').toString();
    expect(remarks.match(/limit of/g)).toHaveLength(1);
    expect(remarks).toContain('605 bytes of output were dropped');
    expect(remarks.match(/were dropped/g)).toHaveLength(1);
    await spool.close();
  }
});

test('a line after a silence is in the spool well before the flush time is over twice', async () => {
  const spool = await LogSpool.open(newPath(), { clock: systemClock, flushMs: 400 });
  const started = performance.now();
  await spool.append('stdout', Buffer.from('hello\n'));
  await spool.changed.wait(5_000);
  expect(spool.chunks).toBe(1);
  expect(performance.now() - started).toBeLessThan(300);
  await spool.close();
});

test('small output that follows quickly shares a chunk', async () => {
  const spool = await LogSpool.open(newPath(), { clock: systemClock, flushMs: 200 });
  for (let line = 0; line < 500; line += 1) await spool.append('stdout', Buffer.from(`${line}\n`));
  await spool.finish();
  expect(spool.chunks).toBeLessThan(10);
  await spool.close();
});

test('the shipper goes where the orchestrator says: back for what is missing, on past what it has', async () => {
  const spool = await LogSpool.open(newPath(), options);
  for (let line = 0; line < 30; line += 1) {
    await spool.append('stdout', Buffer.from(`out ${line}\n`));
    await spool.append('stderr', Buffer.from(`err ${line}\n`));
  }
  await spool.finish();
  const stored: LogChunk[] = [];
  let calls = 0;
  const shipper = new LogShipper({
    spool,
    acknowledged: 0,
    send: async (firstSeq, frames) => {
      calls += 1;
      // The first answers pretend that the store has forgotten half of it, as one restored from a backup would.
      if (calls === 2) stored.length = Math.floor(stored.length / 2);
      const chunks = decodeLogFrames(frames, firstSeq) ?? [];
      for (const chunk of calls === 1 ? chunks.slice(0, 7) : chunks) {
        if (chunk.seq === stored.length) stored.push(copyOf(chunk));
      }
      return stored.length;
    },
  });
  await shipper.run(new AbortController().signal);
  expect(stored.map(withoutTime)).toEqual((await everything(spool)).map(withoutTime));
  expect(shipper.acknowledged).toBe(spool.chunks);
  await spool.close();
});

/** Plays the first `count` pieces of the script from where the spool stands, as the engine's reader would. */
async function play(script: readonly Script[], spool: LogSpool, count: number): Promise<void> {
  const skip = { ...spool.consumed };
  for (const { stream, data } of script.slice(0, count)) {
    const skipped = Math.min(skip[stream], data.length);
    skip[stream] -= skipped;
    if (skipped < data.length) await spool.append(stream, data.subarray(skipped));
  }
}

function fullOutput(script: readonly Script[], stream: EngineStream): Buffer {
  return Buffer.concat(script.filter((each) => each.stream === stream).map(({ data }) => data));
}

async function everything(spool: LogSpool): Promise<LogChunk[]> {
  const all: LogChunk[] = [];
  let cursor = spoolStart;
  while (cursor.seq < spool.chunks) {
    const { chunks, next } = await spool.read(cursor, 10_000);
    all.push(...chunks.map(copyOf));
    cursor = next;
  }
  return all;
}

async function offsetOf(path: string, seq: number): Promise<number | undefined> {
  const spool = await LogSpool.open(path, options);
  const { offset } = await spool.seek(seq);
  await spool.close();
  return offset;
}

function bytesOf(chunks: readonly LogChunk[], stream: string): Buffer {
  return Buffer.concat(chunks.filter((chunk) => chunk.stream === stream).map(({ data }) => data));
}

function copyOf(chunk: LogChunk): LogChunk {
  return { ...chunk, data: Buffer.from(chunk.data) };
}

function withoutTime({ seq, stream, data }: LogChunk) {
  return { seq, stream, text: Buffer.from(data).toString('latin1') };
}
