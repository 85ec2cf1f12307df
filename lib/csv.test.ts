import { expect, it } from 'vitest';
import { csvLine } from './csv.ts';

it('quotes what would break a line and defuses what a spreadsheet would run', () => {
  expect(csvLine(['a', 'b,c', 'say "x"', 'two\nlines'])).toBe('a,"b,c","say ""x""","two\nlines"\r\n');
  expect(csvLine(['=1+1', '+1', '-5', '-x', '@a'])).toBe("'=1+1,'+1,-5,'-x,'@a\r\n");
});
