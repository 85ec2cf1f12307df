import { readFileSync } from 'node:fs';
import { z } from 'zod';

/**
 * A moment that another process, or this one after a restart, can compare with its own: the wall clock, which
 * may be set at any time, and the time since boot, which may not but means nothing in another boot.
 */
export const moment = z.strictObject({
  /** Milliseconds since 1970. */
  wallMs: z.number(),
  /** Which boot `bootMs` belongs to; null where the system has no boot id. */
  bootId: z.string().nullable(),
  /** Milliseconds since boot, time asleep included; null where the system does not tell. */
  bootMs: z.number().nullable(),
});
export type Moment = z.infer<typeof moment>;

export interface BootClock {
  now(): Moment;
}

/** The machine's clock. Linux tells time since boot; elsewhere only the wall clock is left. */
export const systemBootClock: BootClock = {
  now: () => ({ wallMs: Date.now(), bootId: bootId(), bootMs: uptimeMs() }),
};

export function addMs(from: Moment, ms: number): Moment {
  return { ...from, wallMs: from.wallMs + ms, bootMs: from.bootMs === null ? null : from.bootMs + ms };
}

/** Milliseconds from `from` to `to`: by the boot clock when both belong to one boot, else by the wall clock. */
export function msBetween(from: Moment, to: Moment): number {
  if (from.bootId !== null && from.bootId === to.bootId && from.bootMs !== null && to.bootMs !== null) {
    return to.bootMs - from.bootMs;
  }
  return to.wallMs - from.wallMs;
}

/** The later of two moments. */
export function laterOf(one: Moment, other: Moment): Moment {
  return msBetween(one, other) > 0 ? other : one;
}

let knownBootId: string | null | undefined;

function bootId(): string | null {
  knownBootId ??= readOrNull('/proc/sys/kernel/random/boot_id');
  return knownBootId;
}

function uptimeMs(): number | null {
  const seconds = Number.parseFloat(readOrNull('/proc/uptime') ?? '');
  return Number.isFinite(seconds) ? Math.round(seconds * 1_000) : null;
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return null; // Not Linux: the caller falls back to the wall clock.
  }
}
