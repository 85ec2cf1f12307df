'use client';

import { useElapsedMs } from '@/components/shell/use-clock.ts';
import { formatDuration } from '@/lib/format-duration.ts';

interface RunningTimeProps {
  from: Date;
  /** Null while it goes on: then it counts up. */
  to: Date | null;
  /** The server's clock when the page was made. */
  now: Date;
}

/** The length of a stretch of time, counting up every second while it goes on. Not announced as it ticks. */
export function RunningTime({ from, to, now }: RunningTimeProps) {
  const elapsedMs = useElapsedMs(to === null, now.getTime());
  const untilMs = to ? to.getTime() : now.getTime() + elapsedMs;
  const seconds = Math.max(0, (untilMs - from.getTime()) / 1_000);
  return (
    <span className="whitespace-nowrap tabular-nums">
      {formatDuration(to ? seconds : Math.floor(seconds))}
    </span>
  );
}
