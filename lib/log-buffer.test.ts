import type { LogStream } from '@computefabric/protocol/log-frames';
import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import { describe, expect, it } from 'vitest';
import { LogBuffer, linesPerBlock, maxLines } from './log-buffer.ts';

const at = '2026-01-02T03:04:05.678Z';

/** A buffer and a way to add pieces numbered in order. */
function bufferOf(...pieces: (string | [LogStream, string])[]) {
  const buffer = new LogBuffer();
  for (const [seq, piece] of pieces.entries()) {
    const [stream, data] = typeof piece === 'string' ? (['stdout', piece] as const) : piece;
    buffer.add(entry(seq, data, { stream }));
  }
  return buffer;
}

function entry(seq: number, data: string, more: Partial<LogEntry> = {}): LogEntry {
  return { attempt: 1, seq, stream: 'stdout', at, encoding: 'utf-8', data, ...more };
}

const lines = (buffer: LogBuffer) =>
  buffer.snapshot().blocks.flatMap((block) => block.lines.map((line) => line.text));

describe('the log buffer', () => {
  it('joins pieces into lines wherever the pieces end', () => {
    expect(lines(bufferOf('hel', 'lo\nwor', 'ld\n', '\n', 'open'))).toEqual(['hello', 'world', '', 'open']);
  });

  it('shows an unfinished line and completes it in place', () => {
    const buffer = bufferOf('epoch 1');
    expect(lines(buffer)).toEqual(['epoch 1']);
    buffer.add(entry(1, ' done\n'));
    expect(lines(buffer)).toEqual(['epoch 1 done']);
  });

  it('puts a character back together that was cut between two pieces', () => {
    const buffer = new LogBuffer();
    buffer.add(entry(0, btoa('\u00e2\u0082'), { encoding: 'base64' }));
    buffer.add(entry(1, btoa('\u00ac\n'), { encoding: 'base64' }));
    expect(lines(buffer)).toEqual(['€']);
  });

  it('keeps the lines of the two streams apart when they come interleaved', () => {
    const buffer = bufferOf('out-', ['stderr', 'err-'], 'a\n', ['stderr', 'b\n']);
    expect(lines(buffer)).toEqual(['out-a', 'err-b']);
  });

  it('takes a piece that comes again after a reconnect only once', () => {
    const buffer = bufferOf('a\n', 'b\n');
    expect(buffer.add(entry(0, 'a\n'))).toBe(false);
    expect(buffer.add(entry(1, 'b\n'))).toBe(false);
    expect(buffer.add(entry(2, 'c\n'))).toBe(true);
    expect(lines(buffer)).toEqual(['a', 'b', 'c']);
  });

  it('says where output is missing', () => {
    const buffer = bufferOf('a\n');
    buffer.add(entry(3, 'd\n'));
    expect(lines(buffer)).toEqual(['a', '— 2 pieces of output are missing here —', 'd']);
  });

  it('marks where a new try begins and ignores stragglers of the old one', () => {
    const buffer = bufferOf('first\n', 'cut');
    buffer.add(entry(0, 'second\n', { attempt: 2 }));
    expect(buffer.add(entry(2, 'late\n', { attempt: 1 }))).toBe(false);
    expect(lines(buffer)).toEqual(['first', 'cut', '— try 2 begins here —', 'second']);
  });

  it('lets a carriage return start the line over, and takes CRLF as one line end', () => {
    expect(lines(bufferOf('10%\r20%\r30%'))).toEqual(['30%']);
    expect(lines(bufferOf('10%\r', '20%\r', '\n', 'next'))).toEqual(['20%', 'next']);
    expect(lines(bufferOf('windows\r\nline\r\n'))).toEqual(['windows', 'line']);
  });

  it('carries a colour over the end of a line, for each stream by itself', () => {
    const buffer = bufferOf('\u001b[31mred\n', ['stderr', 'plain\n'], 'still red\n');
    const colors = buffer
      .snapshot()
      .blocks.flatMap((block) => block.lines.map((line) => line.pieces[0]?.style.color));
    expect(colors).toEqual(['red', null, 'red']);
  });

  it('breaks a line that never ends, losing nothing of it', () => {
    const long = 'x'.repeat(40_000);
    const shown = lines(bufferOf(long));
    expect(shown.length).toBeGreaterThan(1);
    expect(shown.join('')).toBe(long);
  });

  it('hands out unchanged blocks as the same objects', () => {
    const buffer = bufferOf('line\n'.repeat(linesPerBlock + 1));
    const before = buffer.snapshot().blocks;
    buffer.add(entry(1, 'one more\n'));
    const after = buffer.snapshot().blocks;
    expect(after[0]).toBe(before[0]);
    expect(after[1]).not.toBe(before[1]);
  });

  it('gives up the oldest lines above the limit and counts them', () => {
    const snapshot = bufferOf('line\n'.repeat(maxLines + 1)).snapshot();
    expect(snapshot.lineCount).toBeLessThanOrEqual(maxLines);
    expect(snapshot.lineCount + snapshot.droppedLines).toBe(maxLines + 1);
  });
});
