import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ChunkCutter, type CutPiece, engineStreams, wholeCharacterBytes } from './chunk-cutter.ts';

const maxBytes = 64;
const decoder = new TextDecoder('utf-8', { fatal: true });

const stream = fc.constantFrom(...engineStreams);
const push = fc.record({ stream, data: fc.uint8Array({ maxLength: 200 }), flush: fc.boolean() });

test('the pieces of a stream joined are exactly its bytes, however they came and whenever they were flushed', () => {
  fc.assert(
    fc.property(fc.array(push, { maxLength: 40 }), (pushes) => {
      const cutter = new ChunkCutter(maxBytes);
      const pieces = pushes.flatMap((each) => [
        ...cutter.push(each.stream, each.data),
        ...(each.flush ? cutter.flush() : []),
      ]);
      pieces.push(...cutter.finish());
      for (const name of engineStreams) {
        const given = Buffer.concat(pushes.filter((each) => each.stream === name).map((each) => each.data));
        expect(joined(pieces, name).equals(given)).toBe(true);
      }
      expect(pieces.every(({ data }) => data.length > 0 && data.length <= maxBytes)).toBe(true);
      expect(cutter.pendingBytes).toBe(0);
    }),
  );
});

test('no piece of a text is cut inside a character', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 400 }),
      fc.integer({ min: 1, max: 7 }),
      (text, step) => {
        const cutter = new ChunkCutter(maxBytes);
        const bytes = Buffer.from(text);
        const pieces: CutPiece[] = [];
        for (let at = 0; at < bytes.length; at += step) {
          pieces.push(...cutter.push('stdout', bytes.subarray(at, at + step)));
          if (at % 3 === 0) pieces.push(...cutter.flush());
        }
        pieces.push(...cutter.finish());
        expect(pieces.map(({ data }) => decoder.decode(data)).join('')).toBe(text);
      },
    ),
  );
});

test('a full piece ends with a line where one ends in its second half', () => {
  const cutter = new ChunkCutter(16);
  const pieces = [...cutter.push('stdout', Buffer.from('0123456789\nabcdefgh\nrest')), ...cutter.finish()];
  expect(pieces.map(({ data }) => data.toString())).toEqual(['0123456789\n', 'abcdefgh\nrest']);
});

test('output of the two streams keeps its order up to a bound of pieces for each flush', () => {
  const cutter = new ChunkCutter();
  const lines = Array.from(
    { length: 10 },
    (_, at) => ({ stream: at % 2 ? 'stderr' : 'stdout', text: `${at}\n` }) as const,
  );
  const pieces = lines.flatMap((line) => cutter.push(line.stream, Buffer.from(line.text)));
  pieces.push(...cutter.flush());
  expect(pieces.map(({ data }) => data.toString())).toEqual(lines.map(({ text }) => text));

  const many = Array.from({ length: 10_000 }, (_, at) =>
    cutter.push(at % 2 ? 'stderr' : 'stdout', Buffer.from('x')),
  );
  expect(many.flat().length).toBeLessThan(100);
});

test('bytes that are no text are not held back', () => {
  expect(wholeCharacterBytes(Buffer.from([0x80, 0x80, 0x80, 0x80]))).toBe(4);
  expect(wholeCharacterBytes(Buffer.from([0xff]))).toBe(1);
  expect(wholeCharacterBytes(Buffer.from('aé').subarray(0, 2))).toBe(1);
  expect(wholeCharacterBytes(Buffer.from('a😀').subarray(0, 4))).toBe(1);
  expect(wholeCharacterBytes(Buffer.from('a😀'))).toBe(5);
  expect(wholeCharacterBytes(Buffer.alloc(0))).toBe(0);
});

function joined(pieces: readonly CutPiece[], name: string): Buffer {
  return Buffer.concat(pieces.filter((piece) => piece.stream === name).map(({ data }) => data));
}
