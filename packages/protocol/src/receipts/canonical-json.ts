/**
 * The one text of a JSON value, by RFC 8785 (JCS): what is signed. Names in the order of their UTF-16 units, no
 * spaces, strings and numbers as `JSON.stringify` writes them, which is how that standard defines them.
 *
 * @throws TypeError for what JSON cannot say: undefined, a number that is not finite, half a surrogate pair
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError(`${value} cannot be written as JSON`);
    return JSON.stringify(value);
  }
  if (typeof value === 'string') {
    if (halfSurrogate.test(value)) throw new TypeError('half a surrogate pair cannot be written as JSON');
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const members = Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${canonicalJson(name)}:${canonicalJson(member)}`);
    return `{${members.join(',')}}`;
  }
  throw new TypeError(`${typeof value} cannot be written as JSON`);
}

/** With the u flag a whole pair is one character and no surrogate. */
const halfSurrogate = /\p{Surrogate}/u;
