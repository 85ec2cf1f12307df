import { expect, test } from 'vitest';
import { displayWidth, facts, table } from './table.ts';

test('columns line up whatever the colours and the width of characters', () => {
  const lines = table(
    [{ title: 'NAME' }, { title: 'N', align: 'right' }, { title: 'X' }],
    [
      ['\u001b[31mred\u001b[39m', '5', 'a'],
      ['日本', '120', ''],
    ],
  );
  expect(lines).toEqual(['NAME    N  X', '\u001b[31mred\u001b[39m     5  a', '日本  120']);
  expect(displayWidth('e\u0301😀')).toBe(3);
});

test('facts stand under each other', () => {
  expect(
    facts([
      ['a', '1'],
      ['long', '2'],
    ]),
  ).toEqual(['  a      1', '  long   2']);
});
