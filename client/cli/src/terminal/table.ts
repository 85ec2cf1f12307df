import { stripVTControlCharacters } from 'node:util';

export interface Column {
  title: string;
  /** Numbers read better on the right. */
  align?: 'right';
}

/** Rows under their titles, in columns as wide as their widest cell. Cells may be coloured. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...rows.map((row) => displayWidth(row[index] ?? ''))),
  );
  const write = (cells: readonly string[]) =>
    columns
      .map(({ align }, index) => {
        const cell = cells[index] ?? '';
        const padding = ' '.repeat((widths[index] ?? 0) - displayWidth(cell));
        return align === 'right' ? padding + cell : cell + padding;
      })
      .join('  ')
      .trimEnd();
  return [write(columns.map(({ title }) => title)), ...rows.map(write)];
}

/** `label  text` lines with the texts under each other. */
export function facts(pairs: readonly (readonly [label: string, text: string])[], indent = '  '): string[] {
  const width = Math.max(0, ...pairs.map(([label]) => displayWidth(label)));
  return pairs.map(([label, text]) =>
    `${indent}${label}${' '.repeat(width - displayWidth(label))}   ${text}`.trimEnd(),
  );
}

/** Cells of a terminal that the text takes; wide characters count two. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of stripVTControlCharacters(text)) {
    const code = char.codePointAt(0) ?? 0;
    if (code >= 0x300 && code <= 0x36f) continue; // combining marks
    const wide =
      (code >= 0x1100 && code <= 0x115f) ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xfe30 && code <= 0xfe6f) ||
      (code >= 0xff00 && code <= 0xff60) ||
      (code >= 0x1f300 && code <= 0x1faff);
    width += wide ? 2 : 1;
  }
  return width;
}
