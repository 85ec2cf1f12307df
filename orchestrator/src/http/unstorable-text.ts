import { limits } from '@computefabric/protocol/limits';

/** NUL, or half of a surrogate pair: PostgreSQL keeps neither in text nor in jsonb. */
const unstorable = /\u0000|\p{Surrogate}/u;

/**
 * Path of the first string (key or value) in a JSON value that a database cannot keep, or null. Looks no
 * deeper than a body may be nested.
 */
export function unstorableText(
  value: unknown,
  path: readonly PropertyKey[] = [],
): readonly PropertyKey[] | null {
  if (typeof value === 'string') return unstorable.test(value) ? path : null;
  if (typeof value !== 'object' || value === null || path.length > limits.jsonDepth) return null;
  for (const [key, inner] of Object.entries(value)) {
    if (unstorable.test(key)) return path;
    const found = unstorableText(inner, [...path, Array.isArray(value) ? Number(key) : key]);
    if (found) return found;
  }
  return null;
}
