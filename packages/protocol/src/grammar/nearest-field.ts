import { z } from 'zod';
import { editDistance } from './similar.ts';

/** Most letters that may differ for a name to be taken for another. */
const mostEdits = 2;

/** The field that somebody probably meant by an unknown name at `path` of a schema; null when none is near. */
export function nearestField(schema: z.ZodType, path: readonly PropertyKey[], name: string): string | null {
  const object = objectAt(schema, path);
  if (!object) return null;
  const asked = plain(name);
  const near = Object.keys(object.shape)
    .map((field) => ({ field, edits: editDistance(asked, plain(field)) }))
    .filter(({ field, edits }) => edits <= mostEdits && edits < field.length / 2)
    .toSorted((a, b) => a.edits - b.edits);
  return near[0]?.field ?? null;
}

/** Case and separators are what people mix up most. */
function plain(name: string): string {
  return name.toLowerCase().replace(/[-_ ]/g, '');
}

function objectAt(schema: z.ZodType, path: readonly PropertyKey[]): z.ZodObject | null {
  let current = unwrap(schema);
  for (const key of path) {
    if (!(current instanceof z.ZodObject)) return null;
    const next: unknown = current.shape[String(key)];
    if (!(next instanceof z.ZodType)) return null;
    current = unwrap(next);
  }
  return current instanceof z.ZodObject ? current : null;
}

/** The schema inside defaults, optionals and the like. */
function unwrap(schema: z.ZodType): z.ZodType {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable
  ) {
    const inner: unknown = schema.unwrap();
    return inner instanceof z.ZodType ? unwrap(inner) : schema;
  }
  // Of several forms, only the one with fields can have a wrong one.
  if (schema instanceof z.ZodUnion) {
    const object = schema.options.find((option) => option instanceof z.ZodObject);
    return object ?? schema;
  }
  return schema;
}
