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

const mibBytes = 1_048_576;

/** `1 GPU`, `2 GPUs`; give the plural when adding an s is not enough. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}
