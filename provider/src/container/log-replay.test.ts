import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Frame } from './docker-frames.ts';
import { LogReplay } from './log-replay.ts';

const SPLIT_BYTES = 16_384;

/** Writes output as the engine's log keeps it: an entry a line, long lines in parts with the time of the first. */
class LogWriter {
  readonly entries: Frame[] = [];
  #clock = 0;

  write(stream: Frame['stream'], text: string, engine: { losesNewlineOfSplitLine: boolean }): void {
    const lines = text.split('\n');
    const last = lines.pop() ?? '';
    for (const line of lines) this.#line(stream, line, true, engine);
    if (last !== '') this.#line(stream, last, false, engine);
  }

  #line(
    stream: Frame['stream'],
    line: string,
    ended: boolean,
    { losesNewlineOfSplitLine }: LogWriterEngine,
  ): void {
    this.#clock += 1;
    const at = new Date(this.#clock * 1000).toISOString().replace('Z', '000000Z');
    let rest = line;
    let split = false;
    const entry = (text: string) =>
      this.entries.push({ stream, payload: Buffer.from(`${at} ${text}`, 'latin1') });
    // The newline counts for the buffer that is full at 16 KiB.
    while (rest.length >= SPLIT_BYTES) {
      entry(rest.slice(0, SPLIT_BYTES));
      rest = rest.slice(SPLIT_BYTES);
      split = true;
    }
    if (ended) entry(split && losesNewlineOfSplitLine ? rest : `${rest}\n`);
    else if (rest !== '') entry(rest);
  }
}
type LogWriterEngine = { losesNewlineOfSplitLine: boolean };

function replay(entries: readonly Frame[], stdoutBytes: number, stderrBytes = 0) {
  const log = new LogReplay({ stdoutBytes, stderrBytes });
  const out = entries.flatMap((entry) => log.push(entry));
  const of = (stream: Frame['stream']) =>
    Buffer.concat(out.filter((frame) => frame.stream === stream).map(({ payload }) => payload)).toString(
      'latin1',
    );
  return { stdout: of('stdout'), stderr: of('stderr'), log };
}

const pieces = fc.array(
  fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 20 }),
    fc.constantFrom(
      '\n',
      '\n\n',
      '\r',
      'progress 10%\r',
      'x'.repeat(16_383),
      'y'.repeat(16_384),
      'z'.repeat(40_000),
    ),
  ),
  { maxLength: 12 },
);

test('from any place on, the log gives exactly the bytes that were written', () => {
  fc.assert(
    fc.property(
      pieces,
      pieces,
      fc.nat(),
      fc.boolean(),
      (outParts, errParts, place, losesNewlineOfSplitLine) => {
        // The one thing that cannot be told apart is a cut line at the very end; a last short line rules it out.
        const stdout = `${outParts.join('')}\nend`;
        const stderr = `${errParts.join('')}\nend`;
        const writer = new LogWriter();
        writer.write('stdout', stdout, { losesNewlineOfSplitLine });
        writer.write('stderr', stderr, { losesNewlineOfSplitLine });
        const from = place % (stdout.length + 1);
        const got = replay(writer.entries, from, 2);
        expect(got.stdout === stdout.slice(from)).toBe(true);
        expect(got.stderr === stderr.slice(2)).toBe(true);
        expect(got.log.position).toEqual({ stdoutBytes: stdout.length, stderrBytes: stderr.length });
      },
    ),
    { numRuns: 300 },
  );
});

test('reading again from where one stands gives nothing twice', () => {
  const writer = new LogWriter();
  writer.write('stdout', 'one\ntwo\n', { losesNewlineOfSplitLine: false });
  const first = replay(writer.entries, 0);
  writer.write('stdout', 'three\n', { losesNewlineOfSplitLine: false });
  expect(replay(writer.entries, first.log.position.stdoutBytes).stdout).toBe('three\n');
});

test('a place behind the end of the log is kept: the log may still be catching up', () => {
  const writer = new LogWriter();
  writer.write('stdout', 'whole line\nhalf', { losesNewlineOfSplitLine: false });
  const got = replay(writer.entries, 100);
  expect(got.stdout).toBe('');
  expect(got.log.position.stdoutBytes).toBe(100);
});

test('the estimate of the log is not below what the engine needs for short lines', () => {
  const writer = new LogWriter();
  writer.write('stdout', 'y\n'.repeat(1_000), { losesNewlineOfSplitLine: false });
  // Measured with Docker 20.10: 31 bytes in the file for each "y".
  expect(replay(writer.entries, 0).log.logBytes).toBeGreaterThanOrEqual(31_000);
});

test('an entry without its time is refused', () => {
  expect(() => replay([{ stream: 'stdout', payload: Buffer.from('no time') }], 0)).toThrow(
    'without its time',
  );
});
