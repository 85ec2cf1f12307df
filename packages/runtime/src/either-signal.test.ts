import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { withEither } from './either-signal.ts';

test('the first signal to abort ends the work, with its reason', async () => {
  const first = new AbortController();
  const second = new AbortController();
  const waiting = withEither(
    [first.signal, second.signal],
    (signal) =>
      new Promise<unknown>((resolve) => {
        signal.addEventListener('abort', () => resolve(signal.reason));
      }),
  );
  second.abort('second');
  first.abort('first');
  expect(await waiting).toBe('second');
  expect(await withEither([second.signal], (signal) => Promise.resolve(signal.reason))).toBe('second');
});

test('nothing is left on a signal that outlives the work', async () => {
  const { signal } = new AbortController();
  await withEither([signal], () => Promise.resolve());
  await expect(withEither([signal], () => Promise.reject(new Error('x')))).rejects.toThrow('x');
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
