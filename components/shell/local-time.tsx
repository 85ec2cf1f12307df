'use client';

import { useSyncExternalStore } from 'react';
import { cn } from '@/lib/cn.ts';

interface LocalTimeProps {
  at: Date;
  /** `time` leaves the day out, for moments near each other. */
  show?: 'date-time' | 'time';
  className?: string;
}

/**
 * A moment in the reader's own time zone, with UTC when pointed at. The server does not know the zone, so
 * it writes UTC and the browser replaces it.
 */
export function LocalTime({ at, show = 'date-time', className }: LocalTimeProps) {
  const inBrowser = useSyncExternalStore(neverChanges, yes, no);
  const utc = `${at.toISOString().replace('T', ' ').slice(0, 19)} UTC`;
  const text = inBrowser ? formats[show].format(at) : show === 'time' ? utc.slice(11, 19) : utc.slice(0, 16);
  return (
    <time dateTime={at.toISOString()} title={utc} className={cn('whitespace-nowrap', className)}>
      {text}
    </time>
  );
}

const formats = {
  'date-time': new Intl.DateTimeFormat('en-GB', {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
  }),
  time: new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' }),
};

const neverChanges = () => () => {};
const yes = () => true;
const no = () => false;
