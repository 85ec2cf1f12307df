import { expect, test } from 'vitest';
import { csvLine } from './csv.ts';

test('what would break a line is quoted', () => {
  expect(csvLine(['a', 'b,c', 'say "x"', 'two\nlines'])).toBe('a,"b,c","say ""x""","two\nlines"\r\n');
});

test('what a spreadsheet would run is defused, and a number stays one', () => {
  expect(csvLine(['=1+1', '+1', '-x', '@a', '-5=1', '\t=1'])).toBe("'=1+1,'+1,'-x,'@a,'-5=1,'\t=1\r\n");
  for (const text of ['-1+2', '@SUM(A1)', '\r=1', ' =1'])
    expect(csvLine([text]).replaceAll('"', '')).toMatch(/^'/);
  expect(csvLine(['-5', '-1.500000', '0.25'])).toBe('-5,-1.500000,0.25\r\n');
});
