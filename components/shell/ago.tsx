'use client';

import { useElapsedMs } from '@/components/shell/use-clock.ts';
import { formatAgo } from '@/lib/format-duration.ts';

interface AgoProps {
  at: Date;
  /** The server's clock when the page was made. */
  now: Date;
}

/** How long ago, kept up to date; the exact moment in UTC when pointed at. */
export function Ago({ at, now }: AgoProps) {
  const elapsedMs = useElapsedMs(true, now.getTime());
  const seconds = (now.getTime() - at.getTime() + elapsedMs) / 1_000;
  return (
    <time
      dateTime={at.toISOString()}
      title={`${at.toISOString().replace('T', ' ').slice(0, 19)} UTC`}
      className="whitespace-nowrap"
    >
      {formatAgo(seconds)}
    </time>
  );
}
