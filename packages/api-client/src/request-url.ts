/**
 * Address of a call: braces in the path filled from `params`, the query's lists joined by commas.
 *
 * @throws TypeError when a parameter is missing or would walk up the path.
 */
export function requestUrl(baseUrl: URL, path: string, parts: { params?: unknown; query?: unknown }): string {
  const params = toRecord(parts.params);
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = params[name];
    // URL parsing folds dots away even when they are percent-encoded.
    if (typeof value !== 'string' || value === '' || value === '.' || value === '..') {
      throw new TypeError(`"${String(value)}" cannot be the ${name} of ${path}`);
    }
    return encodeURIComponent(value);
  });
  const url = new URL(baseUrl.pathname.replace(/\/+$/, '') + filled, baseUrl);
  for (const [name, value] of Object.entries(toRecord(parts.query))) {
    if (Array.isArray(value)) url.searchParams.set(name, value.join(','));
    else if (typeof value === 'string') url.searchParams.set(name, value);
    else if (typeof value === 'number' || typeof value === 'boolean') url.searchParams.set(name, `${value}`);
    else if (value !== undefined) throw new TypeError(`${name} cannot be written into an address`);
  }
  return url.href;
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
