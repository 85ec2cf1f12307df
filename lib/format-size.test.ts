import { describe, expect, it } from 'vitest';
import { parseSizeMib } from '@computefabric/protocol/grammar/sizes';
import { countOf, formatMemory } from './format-size.ts';

describe('sizes on the screen', () => {
  it('shows memory as people name cards', () => {
    expect(formatMemory(24_564)).toBe('24 GB');
    expect(formatMemory(24_576)).toBe('24 GB');
    expect(formatMemory(81_920)).toBe('80 GB');
    expect(formatMemory(1_024)).toBe('1 GB');
    expect(formatMemory(512)).toBe('512 MB');
  });

  it.each([0.5, 1, 1.5, 2, 8, 12, 16, 24, 40, 80, 141])('shows %s GB again as it was typed', (gigabytes) => {
    const mib = parseSizeMib(`${gigabytes}GB`) ?? Number.NaN;
    expect(formatMemory(mib)).toBe(gigabytes < 1 ? `${mib} MB` : `${gigabytes} GB`);
  });

  it('counts in the right number', () => {
    expect(countOf(1, 'GPU')).toBe('1 GPU');
    expect(countOf(0, 'GPU')).toBe('0 GPUs');
    expect(countOf(2_000, 'try', 'tries')).toBe('2,000 tries');
  });
});
