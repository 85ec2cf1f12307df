import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { createLogger, withLogContext } from './log.ts';

test('the ids of a unit of work are on its lines, and the fields of one line are not on the next', () => {
  const lines: Record<string, unknown>[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  const log = createLogger('test', 'info', sink);
  withLogContext({ job_id: 'job_1' }, () => {
    log.warn({ tries: 3 }, 'first');
    log.info('second');
  });
  log.info('outside');
  expect(lines).toMatchObject([
    { message: 'first', job_id: 'job_1', tries: 3 },
    { message: 'second', job_id: 'job_1' },
    {},
  ]);
  expect(lines[1]).not.toHaveProperty('tries');
  expect(lines[2]).not.toHaveProperty('job_id');
});
