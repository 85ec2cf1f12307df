import { z } from 'zod';
import { limits } from './limits.ts';

/** A moment on the wire: RFC 3339 in UTC with milliseconds. */
export const timestamp = z.iso.datetime().meta({ id: 'Timestamp' });

// Printable: no control characters and no bidirectional overrides, which could dress a name up as another.
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

/** A name that a person gives to something. */
export const displayName = z
  .string()
  .trim()
  .min(1, 'must not be empty')
  .max(limits.nameChars, `must be at most ${limits.nameChars} characters`)
  .refine((text) => !unprintable.test(text), 'must not contain control characters');

/** Query of a list: newest first, `cursor` from the page before. */
export const pageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(limits.pageItems.max)
    .default(limits.pageItems.default)
    .describe(`Items in a page, 1 to ${limits.pageItems.max}.`),
  cursor: z.string().max(256).optional().describe('`next_cursor` of the page before.'),
};

/** A page of a list; `next_cursor` is null on the last one. */
export function pageOf<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), next_cursor: z.string().nullable() });
}
