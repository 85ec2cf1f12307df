/** A value of a form: Stripe takes nested objects and lists as `a[b][0]=c`. */
export type FormValue = string | FormValue[] | { [name: string]: FormValue };
export type Form = { [name: string]: FormValue };

/**
 * Reads a form-encoded text with nested brackets (`metadata[job]=…`, `expand[0]=…`, `expand[]=…`).
 *
 * @throws TypeError when a name has broken brackets or is used as two kinds of thing.
 */
export function decodeForm(text: string): Form {
  const form: Form = Object.create(null) as Form;
  for (const [name, value] of new URLSearchParams(text)) put(form, pathOf(name), value);
  return form;
}

function pathOf(name: string): string[] {
  const match = /^([^[\]]+)((?:\[[^[\]]*\])*)$/.exec(name);
  if (!match?.[1]) throw new TypeError(`Invalid parameter name: ${name}`);
  return [match[1], ...[...(match[2] ?? '').matchAll(/\[([^[\]]*)\]/g)].map((part) => part[1] ?? '')];
}

function put(into: Form | FormValue[], [name = '', ...rest]: string[], value: string): void {
  const key = Array.isArray(into) && name === '' ? String(into.length) : name;
  const before = Array.isArray(into) ? into[Number(key)] : into[key];
  if (rest.length === 0) {
    if (before !== undefined) throw new TypeError(`${name} is given twice`);
    set(into, key, value);
    return;
  }
  const isList = rest[0] === '' || /^\d+$/.test(rest[0] ?? '');
  const inner = before ?? (isList ? [] : (Object.create(null) as Form));
  if (typeof inner === 'string' || Array.isArray(inner) !== isList) {
    throw new TypeError(`${name} is used both as a value and as something with parts`);
  }
  set(into, key, inner);
  put(inner, rest, value);
}

function set(into: Form | FormValue[], key: string, value: FormValue): void {
  if (!Array.isArray(into)) into[key] = value;
  else if (/^\d{1,3}$/.test(key)) into[Number(key)] = value;
  else throw new TypeError(`${key} is not an index`);
}
