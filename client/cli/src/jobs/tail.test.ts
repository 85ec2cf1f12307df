import { sampleLog } from '@computefabric/api-client/testing/sample-data';
import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { entryBytes } from './job-output.ts';
import { lastLines } from './tail.ts';

function textOf(entries: readonly LogEntry[]): string {
  return entries.map((entry) => entryBytes(entry).toString()).join('');
}

test('however the output is cut into pieces, the last lines are the last lines', () => {
  const piece = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 6 });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), fc.integer({ min: 0, max: 6 }), (pieces, count) => {
      const text = pieces.join('');
      const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
      const entries = pieces.map((data, seq) => sampleLog(seq, data));
      expect(textOf(lastLines(entries, count))).toBe(count === 0 ? '' : lines.slice(-count).join(''));
    }),
    { numRuns: 300 },
  );
});

test('bytes that are no text stay as they are', () => {
  const bytes = Buffer.from([0x61, 0x0a, 0xff, 0xfe, 0x0a]);
  const entry = sampleLog(0, bytes.toString('base64'), { encoding: 'base64' });
  expect(lastLines([entry], 1).map(entryBytes)).toEqual([bytes.subarray(2)]);
});
