'use client';

import { useEffect, useState } from 'react';
import { cn } from '@/lib/cn.ts';
import { steadyCost } from '@/lib/cost-ticker.ts';
import { formatMoney, formatMoneyFixed } from '@/lib/format-money.ts';
import type { CostReading } from '@/types/cost-view.ts';

const tickMs = 1_000;

interface CostTickerProps {
  reading: CostReading;
  className?: string;
}

/**
 * What a job has cost so far: grows by itself while money moves, exact once it does not. Time is counted from
 * the arrival of the reading, because the browser's clock and the server's differ. Not announced as it ticks.
 */
export function CostTicker({ reading, className }: CostTickerProps) {
  const [shownMicros, setShownMicros] = useState(reading.accruedMicros);
  useEffect(() => {
    const receivedAt = performance.now();
    const update = () =>
      setShownMicros((shown) => steadyCost(reading, performance.now() - receivedAt, shown));
    update();
    if (!reading.billable) return;
    const timer = setInterval(update, tickMs);
    return () => clearInterval(timer);
  }, [reading]);
  return (
    <data value={shownMicros.toString()} className={cn('whitespace-nowrap tabular-nums', className)}>
      {/* Four decimals while it moves: at $0.40 an hour that is one step a second. */}
      {reading.billable ? formatMoneyFixed(shownMicros, 4) : formatMoney(shownMicros)}
    </data>
  );
}
