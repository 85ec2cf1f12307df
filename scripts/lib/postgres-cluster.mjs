import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { randomBytes } from 'node:crypto';
import { runCommand } from './run-command.mjs';

/**
 * A PostgreSQL server of our own from the system's programs, in a temporary folder and on a free
 * port: what a person has who sets DATABASE_URL. Everything is removed by `stop`.
 *
 * @param {string} binDir With initdb, pg_ctl and postgres.
 * @returns {Promise<{ url: string, stop: () => Promise<void> }>}
 */
export async function startPostgresCluster(binDir) {
  const folder = mkdtempSync(`${tmpdir()}/computefabric-pg-`);
  const data = `${folder}/data`;
  const password = randomBytes(18).toString('base64url');
  const port = await freePort();
  mkdirSync(data, { mode: 0o700 });
  writeFileSync(`${folder}/password`, password, { mode: 0o600 });
  const owner = await serverUser();
  if (owner !== undefined) {
    for (const path of [folder, data, `${folder}/password`]) chownSync(path, owner.uid, owner.gid);
  }

  /** @param {string} program @param {string[]} args */
  const run = async (program, args) => {
    const asServer =
      owner === undefined ? [] : ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'];
    const [file, ...rest] = [...asServer, `${binDir}/${program}`, ...args];
    const result = await runCommand(file ?? program, rest, { deadlineSeconds: 90, cwd: folder });
    if (!result.ok) throw new Error(`${program} failed:\n${result.tail}`);
  };
  const stop = async () => {
    await run('pg_ctl', ['stop', '-D', data, '-m', 'immediate', '-w']).catch(() => {
      // Not running: then only the folder is left to remove.
    });
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const access = ['--auth=scram-sha-256', `--pwfile=${folder}/password`, '--username=computefabric'];
    await run('initdb', ['-D', data, ...access, '--encoding=UTF8', '--locale=C', '--no-sync']);
    const settings = `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off -c max_connections=200`;
    await run('pg_ctl', [
      'start',
      '-D',
      data,
      '-w',
      '-t',
      '60',
      '-l',
      `${folder}/server.log`,
      '-o',
      settings,
    ]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `postgres://computefabric:${password}@127.0.0.1:${port}/postgres`, stop };
}

/** PostgreSQL refuses to run as root: Debian's package brings the user `postgres`. */
async function serverUser() {
  if (process.getuid?.() !== 0) return undefined;
  const id = (/** @type {string} */ flag) =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
