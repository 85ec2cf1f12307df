import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FrameReader, joinFrames } from './docker-frames.ts';

function frame(type: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(8);
  header[0] = type;
  header.writeUInt32BE(payload.length, 4);
  return Buffer.concat([header, payload]);
}

test('frames come out whole and in order, wherever the chunks were cut', () => {
  const frames = fc.array(
    fc.record({ stream: fc.constantFrom('stdout' as const, 'stderr' as const), payload: fc.uint8Array() }),
  );
  fc.assert(
    fc.property(frames, fc.array(fc.nat(400)), (sent, cuts) => {
      const bytes = Buffer.concat(
        sent.map(({ stream, payload }) => frame(stream === 'stdout' ? 1 : 2, payload)),
      );
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
      const reader = new FrameReader();
      const got = places.slice(1).flatMap((end, index) => reader.push(bytes.subarray(places[index], end)));
      expect(got.map(({ stream, payload }) => ({ stream, payload: [...payload] }))).toEqual(
        sent.map(({ stream, payload }) => ({ stream, payload: [...payload] })),
      );
    }),
  );
});

test('joining keeps every byte and the order of the streams', () => {
  const reader = new FrameReader();
  const bytes = Buffer.concat([
    frame(1, Buffer.from('a')),
    frame(1, Buffer.from('b')),
    frame(2, Buffer.from('c')),
    frame(2, Buffer.alloc(0)),
    frame(1, Buffer.from('d')),
  ]);
  const joined = joinFrames(reader.push(bytes)).map(({ stream, payload }) => [stream, payload.toString()]);
  expect(joined).toEqual([
    ['stdout', 'ab'],
    ['stderr', 'c'],
    ['stdout', 'd'],
  ]);
});

test('an error that the engine sends inside the stream is thrown with its words', () => {
  const chunk = frame(3, Buffer.from('Error grabbing logs: unexpected EOF\n'));
  expect(() => new FrameReader().push(chunk)).toThrow('Error grabbing logs: unexpected EOF');
});

test('what is no multiplexed stream is refused, and a frame cannot ask for any amount of memory', () => {
  expect(() => new FrameReader().push(Buffer.from('plain text of a terminal'))).toThrow(/frame of/);
  const huge = Buffer.alloc(8);
  huge[0] = 1;
  huge.writeUInt32BE(2 ** 31, 4);
  expect(() => new FrameReader().push(huge)).toThrow('2147483648 bytes');
});
