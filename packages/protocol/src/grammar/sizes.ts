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

const bytesPerMib = 2 ** 20;

/**
 * MiB in a size such as `24GB`, `4GiB`, `512MB` or `24`, rounded up; null when it is not one. GB is 10^9 and
 * GiB is 2^30; a plain number is GB, because that is what cards are sold by: an "RTX 4090 24 GB" reports
 * 24564 MiB, which is more than 24 × 10^9 bytes and less than 24 GiB.
 */
export function parseSizeMib(text: string): number | null {
  return parseBytes(text, Math.ceil);
}

function parseBytes(text: string, round: (mib: number) => number): number | null {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]*)$/i.exec(text.trim());
  const factor = bytesPer[match?.[2]?.toLowerCase() ?? ''];
  if (!match?.[1] || factor === undefined) return null;
  const mib = (Number(match[1]) * factor) / bytesPerMib;
  // The tiny amount keeps 4GiB at 4096 where the division is a hair beside it.
  return Math.max(0, round(mib + (round === Math.ceil ? -1e-9 : 1e-9)));
}

/** MiB that somebody asked for, as it can be typed again for exactly the same: `24 GB`, `4 GiB`, `300 MiB`. */
export function formatAsked(mib: number): string {
  if (mib >= 1_024 && mib % 1_024 === 0) return `${mib / 1_024} GiB`;
  const gb = (mib * bytesPerMib) / 1e9;
  // Nothing is asked for in hundredths of a megabyte; what three decimals cannot say is said in MiB.
  for (const decimals of [0, 1, 2, 3]) {
    const rounded = Math.floor(gb * 10 ** decimals) / 10 ** decimals;
    if (rounded >= 1 && parseSizeMib(`${rounded}`) === mib) return `${rounded} GB`;
  }
  return `${mib} MiB`;
}

/**
 * MiB that are there, as they are sold: a card of 24564 MiB is `24 GB`. Asking for what is shown is never
 * asking for more than there is.
 */
export function formatThere(mib: number): string {
  const gb = (mib * bytesPerMib) / 1e9;
  const nominal = Math.round(mib / 1_024); // cards are sold in GiB that are called GB
  if (nominal >= 1 && nominal <= gb) return `${nominal} GB`;
  return gb < 0.1 ? `${mib} MiB` : `${Math.floor(gb * 10) / 10} GB`;
}

/** MiB from … to; `to` is null where there is no upper bound. */
export interface SizeRange {
  fromMib: number;
  toMib: number | null;
}

/**
 * Reads a size or a range of sizes: `24GB` and `24GB..` are that or more, `24GB..80GB` lies between, `..48GB` is
 * at most that. The upper end takes in what is sold under that name: `..48GB` takes a card of 48 GiB. Null when it
 * is not one or its ends are the wrong way round.
 */
export function parseSizeRange(text: string): SizeRange | null {
  const parts = text.split('..');
  const [low = '', high] = parts;
  if (parts.length > 2) return null;
  const fromMib = low.trim() === '' && (high ?? '').trim() !== '' ? 0 : parseSizeMib(low);
  const toMib = high === undefined || high.trim() === '' ? null : parseMostMib(high);
  if (fromMib === null || (toMib === null && (high ?? '').trim() !== '')) return null;
  if (toMib !== null && (toMib < fromMib || toMib < 1)) return null;
  return { fromMib, toMib };
}

/**
 * MiB in the upper end of a range, rounded down. A GB of a card is between 10^9 and 2^30 bytes, so that the upper
 * end of `..48GB` is 48 GiB; MB, TB and the exact units mean what they say.
 */
function parseMostMib(text: string): number | null {
  const sold = /^(\d+(?:\.\d+)?)\s*(?:gb?)?$/i.exec(text.trim());
  return parseBytes(sold ? `${sold[1]}GiB` : text, Math.floor);
}

/** A range as it can be typed again for exactly the same: `24 GB..`, `24 GB..80 GiB`, `..48 GiB`. */
export function formatSizeRange({ fromMib, toMib }: SizeRange): string {
  const low = fromMib === 0 ? '' : formatAsked(fromMib);
  if (toMib === null) return low === '' ? '0 MiB..' : `${low}..`;
  return `${low}..${toMib % 1_024 === 0 ? `${toMib / 1_024} GiB` : `${toMib} MiB`}`;
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
