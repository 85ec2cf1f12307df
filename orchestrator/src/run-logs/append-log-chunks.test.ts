import type { LogChunk } from '@computefabric/protocol/log-frames';
import { expect, test } from 'vitest';
import { withinCap } from './append-log-chunks.ts';
import { formatCursor, parseCursor } from './stream-cursor.ts';

const chunk = (seq: number, text: string, stream: LogChunk['stream'] = 'stdout'): LogChunk => ({
  seq,
  stream,
  atMs: 0,
  data: Buffer.from(text),
});
const shown = ({ kept }: ReturnType<typeof withinCap>) =>
  kept.map(({ seq, stream, data }) => `${seq} ${stream} ${Buffer.from(data).toString()}`);

test('output up to the cap is kept; the first piece beyond it becomes a remark, the rest is dropped but counted', () => {
  const first = withinCap([chunk(0, 'abc'), chunk(1, 'de'), chunk(2, 'f'), chunk(3, 'g')], 0, 5);
  expect(shown(first)).toEqual([
    '0 stdout abc',
    '1 stdout de',
    '2 system Output beyond 5 bytes is not kept.\n',
  ]);
  expect(first.logBytes).toBe(7);
  expect(withinCap([chunk(4, 'h')], first.logBytes, 5)).toEqual({ kept: [], logBytes: 8 });
});

test("the agent's own remark about what it dropped still fits", () => {
  expect(shown(withinCap([chunk(0, 'abcde'), chunk(1, '9 bytes dropped', 'system')], 0, 5))).toEqual([
    '0 stdout abcde',
    '1 system 9 bytes dropped',
  ]);
});

test('a cursor reads back as it was written, and nothing else is one', () => {
  const position = { log: { attempt: 2, nextSeq: 17 }, lastEvent: 5 };
  expect(parseCursor(formatCursor(position))).toEqual(position);
  for (const text of ['', '1.2', '1.2.3.4', '-1.0.0', '1.2147483648.0', '1e3.0.0', ' 1.2.3']) {
    expect(parseCursor(text), text).toBeNull();
  }
});
