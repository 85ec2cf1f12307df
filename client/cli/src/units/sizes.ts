const bytesPer: Record<string, number> = {
  '': 1e9,
  m: 1e6,
  mb: 1e6,
  g: 1e9,
  gb: 1e9,
  t: 1e12,
  tb: 1e12,
  mi: 2 ** 20,
  mib: 2 ** 20,
  gi: 2 ** 30,
  gib: 2 ** 30,
  ti: 2 ** 40,
  tib: 2 ** 40,
};

/**
 * MiB in a size such as `24GB`, `4GiB`, `512MB` or `24`, rounded up; null when it is not one. GB is 10^9 and
 * GiB is 2^30; a plain number is GB, because that is what cards are sold by: an "RTX 4090 24 GB" reports
 * 24564 MiB, which is more than 24 × 10^9 bytes and less than 24 GiB.
 */
export function parseSizeMib(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = bytesPer[match?.[2]?.toLowerCase() ?? ''];
  if (!match?.[1] || factor === undefined) return null;
  // The tiny amount taken off keeps 4GiB at 4096 where the division is a hair above it.
  return Math.ceil((Number(match[1]) * factor) / 2 ** 20 - 1e-9);
}

/** Bytes for people, decimal: `14 kB`, `1.2 GB`. */
export function formatBytes(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let index = 0;
  while (value >= 999.5 && index < names.length - 1) {
    value /= 1_000;
    index += 1;
  }
  return `${index === 0 || value >= 9.95 ? Math.round(value) : value.toFixed(1)} ${names[index]}`;
}

/**
 * Memory that somebody asked for, as it can be typed again: 22889 MiB is `24 GB`, 4096 MiB is `4 GiB`.
 */
export function formatAsked(mib: number): string {
  if (mib >= 1_024 && mib % 1_024 === 0) return `${mib / 1_024} GiB`;
  const gb = (mib * 2 ** 20) / 1e9;
  return gb < 0.95 ? `${mib} MiB` : `${Math.round(gb * 10) / 10} GB`;
}

/**
 * Memory that is there, as it is sold: a card of 24564 MiB is `24 GB`. Asking for what is shown is never
 * asking for more than there is.
 */
export function formatThere(mib: number): string {
  const gb = (mib * 2 ** 20) / 1e9;
  const nominal = Math.round(mib / 1_024);
  return nominal >= 1 && nominal <= gb ? `${nominal} GB` : `${Math.floor(gb * 10) / 10} GB`;
}
