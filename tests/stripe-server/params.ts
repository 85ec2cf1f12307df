import { z } from 'zod';

/** Kinds of parameters, as they arrive in a form: everything is text. */
export const text = z.string().min(1).max(5_000);
export const int = z
  .string()
  .regex(/^-?\d{1,12}$/, 'integer expected')
  .transform(Number);
export const amount = int.pipe(z.number().min(1, 'integer above zero expected').max(99_999_999));
export const flag = z.enum(['true', 'false']).transform((word) => word === 'true');
export const currency = z.string().regex(/^[a-z]{3}$/, 'three small letters expected');
export const url = z.url();
export const metadata = z.record(z.string().max(40), z.string().max(500));

/** Every endpoint takes this one. */
export const expand = { expand: z.array(z.string().max(200)).max(20).optional() };
/** And every list these. */
export const page = {
  ...expand,
  limit: int.pipe(z.number().min(1).max(100)).default(10),
  starting_after: text.optional(),
  ending_before: text.optional(),
};
const moments = z.union([
  int,
  z.strictObject({ gt: int.optional(), gte: int.optional(), lt: int.optional(), lte: int.optional() }),
]);
export const created = { created: moments.optional() };
export type Moments = z.output<typeof moments>;

export function isWithin(at: number, moments: Moments | undefined): boolean {
  if (moments === undefined) return true;
  if (typeof moments === 'number') return at === moments;
  const { gt = -1, gte = 0, lt = Number.MAX_SAFE_INTEGER, lte = Number.MAX_SAFE_INTEGER } = moments;
  return at > gt && at >= gte && at < lt && at <= lte;
}
