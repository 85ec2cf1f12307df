'use client';

import { useEffect, useState } from 'react';

/**
 * Milliseconds since this value was given to the component, growing about once a second while `active`.
 * Counted from the arrival of the value instead of from the clock of the day, because the browser's and the
 * server's clocks differ. Zero on the server and in the first render, so both draw the same.
 */
export function useElapsedMs(active: boolean, since: unknown): number {
  const [elapsedMs, setElapsedMs] = useState(0);
  // A new `since` starts the count over.
  useEffect(() => {
    setElapsedMs(0);
    if (!active) return;
    const startedAt = performance.now();
    const timer = setInterval(() => setElapsedMs(performance.now() - startedAt), 1_000);
    return () => clearInterval(timer);
  }, [active, since]);
  return elapsedMs;
}
