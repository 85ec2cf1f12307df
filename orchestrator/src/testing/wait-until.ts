import { pause } from '@computefabric/runtime/wait';

/** Waits until `look` gives something other than undefined, null or false; fails after `ms`. */
export async function waitUntil<T>(
  what: string,
  look: () => Promise<T | undefined | null | false>,
  ms = 10_000,
): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`waited ${ms} ms in vain: ${what}`);
    await pause(20);
  }
}
