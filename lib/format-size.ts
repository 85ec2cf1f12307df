const units = ['B', 'kB', 'MB', 'GB', 'TB'] as const;

/** A file size in powers of 1000, as file managers and the command line show it: `14 kB`, `3.1 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit > 0 && value < 9.95 ? 1 : 0;
  return `${value.toFixed(digits)} ${units[unit] ?? 'TB'}`;
}

/**
 * MiB in the gigabytes that people buy and type: a card that reports 24564 MiB is "24 GB", and so are the
 * 22889 MiB that "24 GB" is read as.
 */
export function formatMemory(mib: number): string {
  const gb = (mib * mibBytes) / 1e9;
  if (gb < 0.95) return `${mib} MB`;
  // Typed: a decimal number of gigabytes, to one place below ten, and less than one MiB of rounding.
  const typed = gb < 10 ? Math.round(gb * 10) / 10 : Math.round(gb);
  if (Math.abs(gb - typed) < 0.002) return `${typed} GB`;
  const nominal = mib / 1_024;
  return `${nominal < 10 ? Math.round(nominal * 10) / 10 : Math.round(nominal)} GB`;
}

/**
 * Gigabytes as typed, in whole MiB rounded up as the command line does it: a form and the command copied
 * from it give the same job. A decimal gigabyte is less than what cards of that name have.
 */
export function gigabytesToMib(gigabytes: number): number {
  return Math.ceil((gigabytes * 1e9) / mibBytes - 1e-9);
}

/** The shortest number of gigabytes that is read back as exactly this many MiB. */
export function mibToGigabytes(mib: number): string {
  for (let decimals = 0; decimals < 6; decimals += 1) {
    const text = Math.floor(((mib * mibBytes) / 1e9) * 10 ** decimals) / 10 ** decimals;
    if (text > 0 && gigabytesToMib(text) === mib) return String(text);
  }
  return ((mib * mibBytes) / 1e9).toFixed(6);
}

const mibBytes = 1_048_576;

/** `1 GPU`, `2 GPUs`; give the plural when adding an s is not enough. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}
