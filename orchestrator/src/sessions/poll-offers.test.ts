import { newId } from '@computefabric/protocol/ids';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Signals } from '../background/signals.ts';
import { pollOffers } from './poll-offers.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('machines that began to wait together do not all ask again together, and none waits too long', async () => {
  const startedAt = Date.now();
  const endedAfterMs: number[] = [];
  const never = () => () => undefined;
  const signals: Signals = { on: never, onId: never, close: async () => undefined };
  const look = async () => ({ offers: [], nudge: false });
  const polls = Array.from({ length: 300 }, async () => {
    await pollOffers({ look, signals }, newId('provider'), 20, new AbortController().signal);
    endedAfterMs.push(Date.now() - startedAt);
  });
  await vi.advanceTimersByTimeAsync(20_000);
  await Promise.all(polls);

  expect(Math.max(...endedAfterMs)).toBeLessThanOrEqual(20_000);
  expect(Math.min(...endedAfterMs)).toBeGreaterThanOrEqual(13_999);
  // Six seconds long fifty a second; by chance hardly ever twice as many.
  const perSecond = [14, 15, 16, 17, 18, 19].map(
    (second) => endedAfterMs.filter((ms) => Math.floor(ms / 1_000) === second).length,
  );
  expect(Math.max(...perSecond)).toBeLessThan(100);
});
