import type { Log } from './log.ts';
import { type OsIdentity, runAs } from './run-as.ts';

/** The account we create for the database when we run as root. */
const DEDICATED_USER = 'computefabric-db';

/**
 * An unprivileged account for the server when this process is root; PostgreSQL refuses to run as root.
 *
 * Our own account first (made when the system has a tool for it), so that a break-in through the database
 * cannot reach anything else; then the `postgres` account of an installed PostgreSQL; then `nobody`, which
 * every system has. Callers use this only for a new cluster: an existing one runs as its owner for ever.
 *
 * @throws Error with the way out when there is no account at all.
 */
export async function unprivilegedUser(log: Log): Promise<OsIdentity & { name: string }> {
  const existing = await lookUp(DEDICATED_USER);
  if (existing !== null) return existing;
  if (await createDedicatedUser()) {
    const created = await lookUp(DEDICATED_USER);
    if (created !== null) {
      log(`Created the system user ${DEDICATED_USER}: PostgreSQL does not run as root.`);
      return created;
    }
  }
  for (const name of ['postgres', 'nobody']) {
    const fallback = await lookUp(name);
    if (fallback !== null) return fallback;
  }
  throw new Error(
    'PostgreSQL does not run as root, and this system has no user that could run it ' +
      `(tried to create ${DEDICATED_USER}, then postgres and nobody). Run as a normal user, or set DATABASE_URL.`,
  );
}

async function createDedicatedUser(): Promise<boolean> {
  const shadowTools = [
    '--system',
    '--no-create-home',
    '--home-dir',
    '/nonexistent',
    '--shell',
    '/usr/sbin/nologin',
  ];
  const busybox = ['-S', '-D', '-H', '-h', '/nonexistent', '-s', '/sbin/nologin'];
  for (const [tool, args] of [
    ['useradd', shadowTools],
    ['adduser', busybox],
  ] as const) {
    const result = await runAs(
      null,
      '/bin/sh',
      ['-c', 'exec "$0" "$@"', tool, ...args, DEDICATED_USER],
      20_000,
    );
    // 9: somebody else created it a moment ago.
    if (result.code === 0 || (tool === 'useradd' && result.code === 9)) return true;
  }
  return false;
}

async function lookUp(name: string): Promise<(OsIdentity & { name: string }) | null> {
  const result = await runAs(null, '/bin/sh', ['-c', 'id -u "$0" && id -g "$0"', name], 10_000);
  if (result.code !== 0) return null;
  const [uid, gid] = result.output.split('\n').map(Number);
  if (!Number.isSafeInteger(uid) || !Number.isSafeInteger(gid) || uid === undefined || gid === undefined)
    return null;
  return uid === 0 ? null : { uid, gid, name };
}
