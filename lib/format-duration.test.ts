import { describe, expect, it } from 'vitest';
import { formatAgo, formatDuration } from './format-duration.ts';

describe('lengths of time on the screen', () => {
  it('shows tenths only below ten seconds', () => {
    expect(formatDuration(0)).toBe('0s');
    expect(formatDuration(0.42)).toBe('0.4s');
    expect(formatDuration(9.97)).toBe('9s');
    expect(formatDuration(12.9)).toBe('12s');
  });

  it('shows the two largest units', () => {
    expect(formatDuration(250)).toBe('4m 10s');
    expect(formatDuration(61)).toBe('1m 01s');
    expect(formatDuration(7_500)).toBe('2h 05m');
    expect(formatDuration(3 * 86_400 + 4 * 3_600)).toBe('3d 4h');
  });

  it('never shows a negative length, which a clock that was set back could give', () => {
    expect(formatDuration(-3)).toBe('0s');
    expect(formatDuration(-0.5)).toBe('0.0s');
  });

  it('says how long ago in words', () => {
    expect(formatAgo(-1)).toBe('just now');
    expect(formatAgo(59.9)).toBe('59 s ago');
    expect(formatAgo(3_599)).toBe('59 min ago');
    expect(formatAgo(86_400)).toBe('1 day ago');
    expect(formatAgo(200_000)).toBe('2 days ago');
  });
});
