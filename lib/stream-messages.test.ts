import { describe, expect, it } from 'vitest';
import { readEventSeq, readLogEntry } from './stream-messages.ts';

const entry = {
  attempt: 1,
  seq: 4,
  stream: 'stderr',
  at: '2026-01-01T00:00:00.000Z',
  encoding: 'utf-8',
  data: 'x',
};

describe("the messages of a job's stream", () => {
  it('reads a piece of output', () => {
    expect(readLogEntry(JSON.stringify(entry))).toEqual(entry);
  });

  it.each([
    ['not JSON', '{'],
    ['not an object', '7'],
    ['an unknown stream', JSON.stringify({ ...entry, stream: 'video' })],
    ['an unknown encoding', JSON.stringify({ ...entry, encoding: 'gzip' })],
    ['no number', JSON.stringify({ ...entry, seq: '4' })],
  ])('refuses %s', (_name, data) => {
    expect(readLogEntry(data)).toBeNull();
  });

  it('reads the number of an event', () => {
    expect(readEventSeq('{"seq":7,"type":"started"}')).toBe(7);
    expect(readEventSeq('{"type":"started"}')).toBeNull();
    expect(readEventSeq('null')).toBeNull();
  });
});
