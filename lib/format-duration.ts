/**
 * A length of time in its two largest units: `0.4s`, `12s`, `4m 10s`, `2h 05m`, `3d 4h`.
 * Tenths appear only below ten seconds and only when the value has them.
 */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95 && !Number.isInteger(seconds)) return `${Math.max(0, seconds).toFixed(1)}s`;
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes, rest] = [
    Math.floor(whole / 86_400),
    Math.floor((whole % 86_400) / 3_600),
    Math.floor((whole % 3_600) / 60),
    whole % 60,
  ];
  if (days > 0) return `${days}d ${hours}h`;
  if (hours > 0) return `${hours}h ${two(minutes)}m`;
  if (minutes > 0) return `${minutes}m ${two(rest)}s`;
  return `${rest}s`;
}

/** How long ago, for a person: `just now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 days ago`. */
export function formatAgo(seconds: number): string {
  if (seconds < 5) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ago`;
  const days = Math.floor(seconds / 86_400);
  return days === 1 ? '1 day ago' : `${days} days ago`;
}

/** Metered time to the millisecond, so that a bill can be checked with a calculator: `3.52 s`. */
export function formatMetered(milliseconds: number): string {
  return `${(milliseconds / 1_000).toLocaleString('en-US', { maximumFractionDigits: 3 })} s`;
}

function two(value: number): string {
  return value.toString().padStart(2, '0');
}
