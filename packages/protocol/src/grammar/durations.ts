const units = { d: 86_400, h: 3_600, m: 60, s: 1 } as const;

/** Seconds in a duration such as `90s`, `10m`, `1h30m` or `2d`; null when it is not one. */
export function parseDuration(text: string): number | null {
  const number = String.raw`(\d{1,9}(?:\.\d{1,6})?)`;
  const form = new RegExp(`^(?:${number}d)?(?:${number}h)?(?:${number}m)?(?:${number}s)?$`);
  const match = form.exec(text.trim().toLowerCase());
  if (!match?.[0]) return null;
  const [, days = '0', hours = '0', minutes = '0', seconds = '0'] = match;
  return Math.round(
    Number(days) * units.d + Number(hours) * units.h + Number(minutes) * units.m + Number(seconds),
  );
}

/** A duration as one can type it back: `1h30m`. */
export function formatSeconds(seconds: number): string {
  let rest = seconds;
  let text = '';
  for (const [unit, size] of Object.entries(units)) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count > 0) text += `${count}${unit}`;
  }
  return text || '0s';
}

/** Two largest units of a duration: `4m 10s`, `2h 5m`, `3d 1h`; tenths of a second below ten seconds. */
export function formatDuration(ms: number): string {
  if (ms < 10_000) return `${(Math.max(0, ms) / 1_000).toFixed(1)}s`;
  let rest = Math.floor(ms / 1_000);
  const parts: string[] = [];
  for (const [unit, size] of Object.entries(units)) {
    const count = Math.floor(rest / size);
    rest %= size;
    if (count > 0 || parts.length > 0) parts.push(`${count}${unit}`);
    if (parts.length === 2) break;
  }
  return parts.filter((part) => !part.startsWith('0')).join(' ');
}

/**
 * A moment given as a duration before now (`24h`) or as a timestamp (`2026-03-01T12:00:00Z`, `2026-03-01`),
 * in RFC 3339; null when it is neither.
 */
export function parseSince(text: string, nowMs: number): string | null {
  const seconds = parseDuration(text);
  if (seconds !== null) return new Date(nowMs - seconds * 1_000).toISOString();
  if (!/^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?$/.test(text)) return null;
  const at = Date.parse(text.replace(' ', 'T'));
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}
