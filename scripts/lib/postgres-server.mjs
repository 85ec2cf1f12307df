import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { aptCommand, canInstallPackages, installPackages } from './apt.mjs';
import { runCommand } from './run-command.mjs';

/**
 * Finds the programs of a real PostgreSQL server (initdb, pg_ctl, postgres), or installs Debian's as
 * root. Only the programs are wanted: no cluster is created and no service is started.
 *
 * @param {object} options
 * @param {import('./progress.mjs').Step} options.step
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<{ ok: true, binDir: string, major: number } | { ok: false, reason: string, command: string }>}
 */
export async function ensurePostgresServer({ step, signal }) {
  const found = await findPostgresServer();
  if (found !== undefined) return { ok: true, ...found };
  if (canInstallPackages()) {
    step.note(
      'No PostgreSQL server is installed. Installing the package postgresql now (about 60 MB on disk).',
    );
    const options = { step, ...(signal === undefined ? {} : { signal }) };
    const common = await installPackages({ packages: ['postgresql-common'], ...options });
    const result = common.ok
      ? await withoutMainCluster(() => installPackages({ packages: ['postgresql'], ...options }))
      : common;
    if (!result.ok) return result;
    const installed = await findPostgresServer();
    if (installed !== undefined) return { ok: true, ...installed };
  }
  return {
    ok: false,
    reason: `no PostgreSQL ${oldestMajor} or newer is installed`,
    command: aptCommand(['postgresql']),
  };
}

/** The oldest server that the SQL is written for. */
const oldestMajor = 15;

/** @returns {Promise<{ binDir: string, major: number } | undefined>} The newest one found. */
async function findPostgresServer() {
  const debian = '/usr/lib/postgresql';
  const folders = existsSync(debian) ? readdirSync(debian).map((major) => `${debian}/${major}/bin`) : [];
  for (const path of (process.env.PATH ?? '').split(':')) if (path !== '') folders.push(path);
  let best;
  for (const binDir of folders) {
    if (!['initdb', 'pg_ctl', 'postgres'].every((name) => existsSync(`${binDir}/${name}`))) continue;
    const answer = await runCommand(`${binDir}/postgres`, ['--version'], { deadlineSeconds: 10 });
    const major = Number(/PostgreSQL\) (\d+)/.exec(answer.stdout)?.[1] ?? 0);
    if (major >= oldestMajor && major > (best?.major ?? 0)) best = { binDir, major };
  }
  return best;
}

/**
 * Debian's package makes and starts a cluster of its own when it is installed. Its configuration
 * has a switch for that; it is put back afterwards.
 *
 * @template T
 * @param {() => Promise<T>} install
 * @returns {Promise<T>}
 */
async function withoutMainCluster(install) {
  const file = '/etc/postgresql-common/createcluster.conf';
  const before = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  if (before === undefined) return install();
  writeFileSync(file, `${before.replace(/^\s*create_main_cluster.*$/m, '')}\ncreate_main_cluster = false\n`);
  try {
    return await install();
  } finally {
    writeFileSync(file, before);
  }
}
