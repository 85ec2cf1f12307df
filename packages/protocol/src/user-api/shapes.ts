import { z } from 'zod';
import { limits } from '../limits.ts';

/** Names of variables as programs read them; those that the machine sets are refused where a spec is parsed. */
const variableName = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be a variable name such as LEARNING_RATE');

/** A value of a variable: what is no text is written as JSON writes it. */
const variableValue = z
  .union([z.string().max(limits.envValueChars), z.number(), z.boolean()])
  .transform(String)
  .refine((text) => !text.includes('\u0000'), 'must not contain NUL');

/** The same job many times: `count` times, or once for each combination of the values of a `matrix`. */
export const arrayShape = z
  .strictObject({
    count: z
      .number()
      .int()
      .min(1)
      .max(limits.arrayMembers)
      .optional()
      .describe('Members, numbered from 0 in COMPUTEFABRIC_ARRAY_INDEX.'),
    matrix: z
      .record(variableName, z.array(variableValue).min(1, 'must not be empty').max(limits.arrayMembers))
      .optional()
      .describe('Values of each variable: one member for each combination, the last variable fastest.'),
    max_parallel: z
      .number()
      .int()
      .min(1)
      .max(limits.arrayMembers)
      .nullable()
      .default(null)
      .describe('So many members at most wait for a machine or run at the same time; null is all.'),
  })
  .refine((shape) => (shape.count === undefined) !== (shape.matrix === undefined), {
    message: 'must have either count or matrix',
  })
  .refine((shape) => shape.matrix === undefined || memberCount(shape) >= 1, {
    path: ['matrix'],
    message: 'must name at least one variable',
  })
  .refine((shape) => shape.matrix === undefined || memberCount(shape) <= limits.arrayMembers, {
    path: ['matrix'],
    message: `must give at most ${limits.arrayMembers} combinations`,
  })
  .meta({ id: 'ArrayShape' });
export type ArrayShape = z.output<typeof arrayShape>;
/** An array before its defaults are filled in. */
export type ArrayShapeInput = z.input<typeof arrayShape>;

/** One job on this many machines at the same time: all of them or none. */
export const machinesShape = z
  .number()
  .int()
  .min(limits.gangMachines.min)
  .max(limits.gangMachines.max)
  .describe('Machines that run the job together, each with its own COMPUTEFABRIC_RANK.');

/** What decides the members of an array: one of the two. */
interface Members {
  count?: number | undefined;
  matrix?: Record<string, string[]> | undefined;
}

/** How many members an array has; 0 for an empty matrix. */
export function memberCount({ count, matrix }: Members): number {
  if (matrix === undefined) return count ?? 0;
  const lists = Object.values(matrix);
  return lists.length === 0 ? 0 : lists.reduce((product, list) => product * list.length, 1);
}

/** The matrix variables of each member, in the order of their indexes: the last variable changes fastest. */
export function memberVariables(shape: Members): Record<string, string>[] {
  if (shape.matrix === undefined) return Array.from({ length: shape.count ?? 0 }, () => ({}));
  return Object.entries(shape.matrix).reduce<Record<string, string>[]>(
    (members, [name, values]) =>
      members.flatMap((member) => values.map((value) => ({ ...member, [name]: value }))),
    [{}],
  );
}
