import { z } from 'zod';

export const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const clockTime = z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, 'must be a time such as "22:00"');

/** Hours of some days in which the machine works. One that ends before it begins goes on over midnight. */
export const scheduleWindow = z
  .strictObject({
    days: z.array(z.enum(weekdays)).min(1).max(7),
    from: clockTime.refine((time) => time !== '24:00', 'must be a time such as "22:00"'),
    to: clockTime,
  })
  .refine(({ from, to }) => from !== to, { message: 'must not be the time it begins at', path: ['to'] });

export interface Schedule {
  /** IANA name; the hours are those of the clock on the wall there, whatever it is turned to. */
  timeZone: string;
  /** None is always. */
  windows: readonly z.infer<typeof scheduleWindow>[];
}

const minuteMs = 60_000;
/** Every zone's offset is a multiple of this, and so is the moment at which it changes. */
const chunkMs = 15 * minuteMs;
/** A week, and a day for the hours that a change of the clocks may move. */
const farthestMs = 8 * 24 * 60 * minuteMs;
const minutesPerDay = 1_440;
const daysPerWeek = 7;

/**
 * Whether the schedule is open, and when that changes: to the minute, null when it does not within a week. An hour
 * that the clocks skip is not there, one that they repeat counts both times.
 */
export function scheduleAt(schedule: Schedule, nowMs: number): ScheduleNow {
  if (schedule.windows.length === 0) return { isOpen: true, changesAtMs: null };
  const found = lastFound.get(schedule);
  if (found && nowMs >= found.fromMs && nowMs < (found.now.changesAtMs ?? found.fromMs + chunkMs))
    return found.now;
  const now = lookAhead(schedule, nowMs);
  lastFound.set(schedule, { fromMs: nowMs, now });
  return now;
}

interface ScheduleNow {
  isOpen: boolean;
  /** Wall clock, ms. */
  changesAtMs: number | null;
}

/** Asked every second, and looking a week ahead costs milliseconds: an answer holds until the change it names. */
const lastFound = new WeakMap<Schedule, { fromMs: number; now: ScheduleNow }>();

function lookAhead({ timeZone, windows }: Schedule, nowMs: number): ScheduleNow {
  const spans = windows.flatMap(spansOfWeek);
  const isOpenAt = (minuteOfWeek: number) =>
    spans.some(([from, to]) => minuteOfWeek >= from && minuteOfWeek < to);
  const firstMinute = Math.floor(nowMs / minuteMs) * minuteMs;
  let isOpen: boolean | null = null;
  for (let at = firstMinute; at < nowMs + farthestMs; ) {
    const offsetMs = offsetAt(timeZone, at);
    const chunkEnd = (Math.floor(at / chunkMs) + 1) * chunkMs;
    for (; at < chunkEnd; at += minuteMs) {
      const open = isOpenAt(minuteOfWeek(at + offsetMs));
      isOpen ??= open;
      if (open !== isOpen) return { isOpen, changesAtMs: at };
    }
  }
  return { isOpen: isOpen ?? true, changesAtMs: null };
}

/** The next moment at which the clock on the wall shows a time such as `18:00`. */
export function nextClockTime(timeZone: string, time: string, nowMs: number): number | null {
  const [hours, minutes] = time.split(':').map(Number);
  if (!clockTime.safeParse(time).success || hours === undefined || minutes === undefined) return null;
  const wanted = (hours * 60 + minutes) % minutesPerDay;
  const first = (Math.floor(nowMs / minuteMs) + 1) * minuteMs;
  for (let at = first; at < nowMs + farthestMs; ) {
    const offsetMs = offsetAt(timeZone, at);
    const chunkEnd = (Math.floor(at / chunkMs) + 1) * chunkMs;
    for (; at < chunkEnd; at += minuteMs) {
      if (minuteOfWeek(at + offsetMs) % minutesPerDay === wanted) return at;
    }
  }
  return null;
}

/** As stretches of minutes since Monday 00:00; one over the end of Sunday goes on at its beginning. */
function spansOfWeek({ days, from, to }: Schedule['windows'][number]): [number, number][] {
  const week = daysPerWeek * minutesPerDay;
  return days.flatMap((day): [number, number][] => {
    const midnight = weekdays.indexOf(day) * minutesPerDay;
    const start = midnight + minuteOfDay(from);
    const end = midnight + minuteOfDay(to) + (minuteOfDay(to) <= minuteOfDay(from) ? minutesPerDay : 0);
    if (end <= week) return [[start, end]];
    return [
      [start, week],
      [0, end - week],
    ];
  });
}

function minuteOfDay(time: string): number {
  const [hours = 0, minutes = 0] = time.split(':').map(Number);
  return hours * 60 + minutes;
}

function minuteOfWeek(localMs: number): number {
  const minutes = Math.floor(localMs / minuteMs);
  // 1970 began on a Thursday.
  const sinceMonday = minutes + 3 * minutesPerDay;
  const week = daysPerWeek * minutesPerDay;
  return ((sinceMonday % week) + week) % week;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** What the zone's clock is ahead of UTC then, ms. */
function offsetAt(timeZone: string, atMs: number): number {
  let format = formats.get(timeZone);
  if (!format) {
    format = new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      year: 'numeric',
      month: 'numeric',
      day: 'numeric',
      hour: 'numeric',
      minute: 'numeric',
    });
    formats.set(timeZone, format);
  }
  const parts = new Map(format.formatToParts(atMs).map(({ type, value }) => [type, Number(value)]));
  const part = (name: Intl.DateTimeFormatPartTypes) => parts.get(name) ?? 0;
  const local = Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'));
  return local - Math.floor(atMs / minuteMs) * minuteMs;
}
