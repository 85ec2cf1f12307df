import { expect, test } from 'vitest';
import { nextClockTime, type Schedule, scheduleAt } from './schedule.ts';

const nights = (timeZone: string): Schedule => ({
  timeZone,
  windows: [{ days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from: '22:00', to: '07:00' }],
});
const ms = (text: string) => Date.parse(text);
const at = (schedule: Schedule, text: string) => {
  const { isOpen, changesAtMs } = scheduleAt(schedule, ms(text));
  return [isOpen, changesAtMs === null ? null : new Date(changesAtMs).toISOString()];
};

test('no hours are all hours', () => {
  expect(at({ timeZone: 'UTC', windows: [] }, '2026-03-04T12:00:00Z')).toEqual([true, null]);
});

test('hours are those of the wall clock of the zone, and go on over midnight', () => {
  const berlin = nights('Europe/Berlin');
  expect(at(berlin, '2026-01-10T20:59:59.999Z')).toEqual([false, '2026-01-10T21:00:00.000Z']);
  expect(at(berlin, '2026-01-10T21:00:00Z')).toEqual([true, '2026-01-11T06:00:00.000Z']);
  expect(at(berlin, '2026-07-10T20:00:00Z')).toEqual([true, '2026-07-11T05:00:00.000Z']);
});

test('a night in which the clocks change is an hour shorter, or longer', () => {
  const berlin = nights('Europe/Berlin');
  expect(at(berlin, '2026-03-28T21:00:00Z')).toEqual([true, '2026-03-29T05:00:00.000Z']);
  expect(at(berlin, '2026-10-24T20:00:00Z')).toEqual([true, '2026-10-25T06:00:00.000Z']);
});

test('an hour that the clocks skip is not there, one that they repeat counts twice', () => {
  const early: Schedule = {
    timeZone: 'America/New_York',
    windows: [{ days: ['sun'], from: '02:00', to: '03:00' }],
  };
  expect(at(early, '2026-03-08T06:59:00Z')).toEqual([false, '2026-03-15T06:00:00.000Z']);
  const doubled: Schedule = { ...early, windows: [{ days: ['sun'], from: '01:00', to: '02:00' }] };
  expect(at(doubled, '2026-11-01T05:00:00Z')).toEqual([true, '2026-11-01T07:00:00.000Z']);
});

test('a window of Sunday night reaches into Monday', () => {
  const sunday: Schedule = { timeZone: 'UTC', windows: [{ days: ['sun'], from: '23:00', to: '01:00' }] };
  expect(at(sunday, '2026-03-02T00:30:00Z')).toEqual([true, '2026-03-02T01:00:00.000Z']);
  expect(at(sunday, '2026-03-02T01:00:00Z')).toEqual([false, '2026-03-08T23:00:00.000Z']);
});

test('a zone with an offset of three quarters of an hour is met to the minute', () => {
  expect(at(nights('Asia/Kathmandu'), '2026-01-10T12:00:00Z')).toEqual([false, '2026-01-10T16:15:00.000Z']);
});

test('the next 18:00 is today’s or tomorrow’s, over a change of the clocks as well', () => {
  const next = (text: string) =>
    new Date(nextClockTime('Europe/Berlin', '18:00', ms(text)) ?? 0).toISOString();
  expect(next('2026-03-28T16:59:00Z')).toBe('2026-03-28T17:00:00.000Z');
  expect(next('2026-03-28T17:00:00Z')).toBe('2026-03-29T16:00:00.000Z');
});
