import { invalid } from './parse-part.ts';
import type { z } from 'zod';

/**
 * Cuts a page out of rows that were read with one more than the limit: that one says whether there is a next.
 *
 * @param cursorOf the cursor after a row
 */
export function pageFrom<Row, Item>(
  rows: readonly Row[],
  limit: number,
  cursorOf: (row: Row) => string,
  view: (row: Row) => Item,
): { items: Item[]; next_cursor: string | null } {
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  return { items: page.map(view), next_cursor: rows.length > limit && last ? cursorOf(last) : null };
}

/**
 * A list's cursor read by its own form (most lists: the id of the last row).
 *
 * @throws AppError `request/invalid` when it is not one that we gave.
 */
export function cursorAs<T extends z.ZodType>(form: T, cursor: string | undefined): z.output<T> | undefined {
  if (cursor === undefined) return undefined;
  const parsed = form.safeParse(cursor);
  if (parsed.success) return parsed.data;
  throw invalid('query', [{ path: 'cursor', message: 'must be next_cursor of the page before' }]);
}
