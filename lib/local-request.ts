/**
 * Whether a request comes from a browser on this very machine, to this very machine: the condition for local
 * mode, in which nobody signs in. Every name under which the request was sent must be a loopback name, since
 * a page elsewhere can point its own name at 127.0.0.1 (DNS rebinding) and would then be the same origin as
 * us. A request that another site makes its visitor's browser send is refused unless it opens a page.
 */
export function isLocalRequest(headers: Pick<Headers, 'get'>): boolean {
  const host = headers.get('host');
  if (host === null || !isLoopbackHost(host)) return false;
  // Set by a reverse proxy in front of us, else by Next itself from the connection.
  const forwardedHosts = listOf(headers.get('x-forwarded-host'));
  const forwardedFor = listOf(headers.get('x-forwarded-for'));
  if (!forwardedHosts.every(isLoopbackHost) || !forwardedFor.every(isLoopbackAddress)) return false;
  if (headers.get('forwarded') !== null) return false;
  const site = headers.get('sec-fetch-site');
  return (site !== 'cross-site' && site !== 'same-site') || headers.get('sec-fetch-mode') === 'navigate';
}

/** `localhost:3000`, `app.localhost`, `127.0.0.1:3000`, `[::1]:3000`; browsers keep .localhost on the machine. */
function isLoopbackHost(host: string): boolean {
  const match = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::\d{1,5})?$/i.exec(host.trim());
  const name = match?.[1]?.toLowerCase();
  if (name === undefined) return false;
  if (name === 'localhost' || name.endsWith('.localhost')) return true;
  return isLoopbackAddress(name.replace(/^\[|\]$/g, ''));
}

function isLoopbackAddress(address: string): boolean {
  const bare = address
    .trim()
    .toLowerCase()
    .replace(/^::ffff:/, '');
  return bare === '::1' || /^127(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(bare);
}

function listOf(header: string | null): string[] {
  return header === null ? [] : header.split(',');
}
