import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createProgress } from './progress.mjs';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** A place to write to that is no terminal, and what has been written so far. */
function logFile() {
  const out = new PassThrough();
  let text = '';
  out.on('data', (chunk) => {
    text += String(chunk);
  });
  return { out, text: () => text };
}

test('a step is never silent for more than about three seconds', async () => {
  const { out, text } = logFile();
  const step = createProgress({ total: 2, out }).begin('Installing');
  step.detail('12 of 400 packages fetched');
  let before = '';
  for (let seconds = 0; seconds < 60; seconds += 3.2) {
    await vi.advanceTimersByTimeAsync(3200);
    expect(text().length).toBeGreaterThan(before.length);
    before = text();
  }
  step.done('400 packages');
  expect(text()).toMatch(/^ 1\/2 Installing …\n {5}… \d\.\d s {2}12 of 400 packages fetched\n/);
  expect(text()).toMatch(/1\/2 Installing +ok +400 packages · 6\d s\n$/);
});

test('a quick step is one line in a log file', async () => {
  const { out, text } = logFile();
  const progress = createProgress({ total: 1, out });
  progress.begin('Finding Docker').done('engine 20.10');
  await vi.advanceTimersByTimeAsync(10_000);
  expect(text()).toMatch(/^ 1\/1 Finding Docker +ok +engine 20\.10 · 0\.0 s\n$/);
});

test('while another program owns the screen nothing is drawn', async () => {
  const { out, text } = logFile();
  const progress = createProgress({ out });
  progress.begin('Running the sample job');
  progress.pause();
  const before = text();
  expect(before).toBe(' Running the sample job …\n');
  await vi.advanceTimersByTimeAsync(30_000);
  expect(text()).toBe(before);
});
