import { describe, expect, it } from 'vitest';
import { countOf, formatBytes, formatMemory, gigabytesToMib } from './format-size.ts';

describe('sizes on the screen', () => {
  it('shows file sizes in the unit that keeps them short', () => {
    expect(formatBytes(0)).toBe('0 B');
    expect(formatBytes(999)).toBe('999 B');
    expect(formatBytes(14_200)).toBe('14 kB');
    expect(formatBytes(3_140_000)).toBe('3.1 MB');
    expect(formatBytes(999_600)).toBe('1.0 MB');
    expect(formatBytes(5e15)).toBe('5000 TB');
  });

  it('shows memory as people name cards', () => {
    expect(formatMemory(24_564)).toBe('24 GB');
    expect(formatMemory(24_576)).toBe('24 GB');
    expect(formatMemory(81_920)).toBe('80 GB');
    expect(formatMemory(1_024)).toBe('1 GB');
    expect(formatMemory(512)).toBe('512 MB');
  });

  it.each([0.5, 1, 1.5, 2, 8, 12, 16, 24, 40, 80, 141])('shows %s GB again as it was typed', (gigabytes) => {
    const expected = gigabytes < 1 ? `${gigabytesToMib(gigabytes)} MB` : `${gigabytes} GB`;
    expect(formatMemory(gigabytesToMib(gigabytes))).toBe(expected);
  });

  it('never asks for more than a card of that name has', () => {
    expect(gigabytesToMib(24)).toBeLessThanOrEqual(24_564);
    expect(gigabytesToMib(80)).toBeLessThanOrEqual(81_920);
  });

  it('counts in the right number', () => {
    expect(countOf(1, 'GPU')).toBe('1 GPU');
    expect(countOf(0, 'GPU')).toBe('0 GPUs');
    expect(countOf(2_000, 'try', 'tries')).toBe('2,000 tries');
  });
});
