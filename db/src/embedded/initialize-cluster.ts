import { randomBytes } from 'node:crypto';
import { chown, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Cluster } from './postmaster.ts';
import { runAs } from './run-as.ts';

const INITDB_TIMEOUT_MS = 180_000;
const REMOVE = { recursive: true, force: true, maxRetries: 20, retryDelay: 100 } as const;

/** The superuser, which only the launcher uses. */
export const ADMIN_ROLE = 'postgres';

/**
 * Makes the data directory of a cluster. It is made under another name and renamed when it is complete, so
 * that a data directory that exists is always a whole one. Call under the start lock.
 */
export async function initializeCluster(cluster: Cluster, adminPassword: string): Promise<void> {
  const prefix = `${basename(cluster.dataDir)}.tmp-`;
  for (const name of await readdir(cluster.base)) {
    // Left by a starter that was killed. We hold the lock, so only its orphaned initdb may still write there
    // for a moment, which is what the retries are for.
    if (name.startsWith(prefix)) await rm(join(cluster.base, name), REMOVE);
  }

  const temporary = join(cluster.base, `${prefix}${randomBytes(6).toString('hex')}`);
  const passwordFile = `${temporary}.password`;
  await mkdir(temporary, { mode: 0o700 });
  await writeFile(passwordFile, `${adminPassword}\n`, { flag: 'wx', mode: 0o600 });
  try {
    if (cluster.identity !== null) {
      await chown(temporary, cluster.identity.uid, cluster.identity.gid);
      await chown(passwordFile, cluster.identity.uid, cluster.identity.gid);
    }
    const { code, output } = await runAs(
      cluster.identity,
      cluster.binaries.initdb,
      [
        `--pgdata=${temporary}`,
        `--username=${ADMIN_ROLE}`,
        `--pwfile=${passwordFile}`,
        '--auth=scram-sha-256',
        '--encoding=UTF8',
        // PostgreSQL's own C.UTF-8 sorts the same everywhere and never changes with the system's libc, which
        // would silently break indexes on text.
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
      ],
      INITDB_TIMEOUT_MS,
    );
    if (code !== 0) {
      throw new Error(
        `Could not create the embedded database in ${cluster.base}: ${output || 'initdb ran out of time'}\n` +
          'Look at free disk space and at the rights of that directory, or set DATABASE_URL.',
      );
    }
    await rename(temporary, cluster.dataDir);
  } finally {
    await rm(passwordFile, { force: true });
    await rm(temporary, REMOVE);
  }
}
