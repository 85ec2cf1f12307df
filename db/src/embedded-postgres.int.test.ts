import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { cp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  isRoot,
  newHome,
  processesOf,
  query,
  runCli,
  serverPid,
  waitFor,
  waitForAsync,
} from './embedded/launcher-testkit.ts';
import {
  embeddedPostgresUrl,
  removeEmbeddedPostgres,
  startEmbeddedPostgres,
  stopEmbeddedPostgres,
} from './embedded-postgres.ts';
import { withConnection } from './one-connection.ts';

describe('the embedded PostgreSQL', () => {
  it('starts from nothing, takes connections of an ordinary role on 127.0.0.1 only, and is found running', async () => {
    const home = await newHome();
    expect(await embeddedPostgresUrl({ home })).toBeNull();

    const first = await startEmbeddedPostgres({ home });
    expect(first.started).toBe(true);
    expect(await embeddedPostgresUrl({ home })).toBe(first.url);
    const again = await startEmbeddedPostgres({ home });
    expect(again).toEqual({ ...first, started: false });

    const [role] = await query(
      first.url,
      'select rolsuper, rolname from pg_roles where rolname = current_user',
    );
    expect(role).toEqual({ rolsuper: false, rolname: 'computefabric' });
    const elsewhere = first.url.replace('127.0.0.1', '127.0.0.2');
    await expect(query(elsewhere, 'select 1')).rejects.toThrow('ECONNREFUSED');
    const wrongPassword = new URL(first.url);
    wrongPassword.password = 'guess';
    await expect(query(wrongPassword.href, 'select 1')).rejects.toThrow('password authentication failed');
    const credentials = statSync(join(home, 'postgres', 'credentials.json'));
    expect((credentials.mode & 0o777).toString(8)).toBe('600');
    expect(statSync(`/proc/${serverPid(first.dataDir)}`).uid).not.toBe(0);
  });

  it('keeps its data and its port over a stop, and a stop leaves no process', async () => {
    const home = await newHome();
    const { url, dataDir } = await startEmbeddedPostgres({ home });
    await query(url, 'create table kept as select 42 as answer');

    expect(await stopEmbeddedPostgres({ home })).toBe(true);
    expect(processesOf(dataDir)).toEqual([]);
    expect(await embeddedPostgresUrl({ home })).toBeNull();
    expect(await stopEmbeddedPostgres({ home })).toBe(false);

    expect(await startEmbeddedPostgres({ home })).toEqual({ url, dataDir, started: true });
    expect(await query(url, 'select answer from kept')).toEqual([{ answer: 42 }]);
  });

  it('is started once by four processes that race, and all four get the same URL', async () => {
    const home = await newHome();
    const starters = [1, 2, 3, 4].map(() => runCli(['start', '--json', '--home', home]));
    const results = await Promise.all(
      starters.map(async (starter) => JSON.parse((await starter.end).stdout)),
    );

    expect(new Set(results.map((result) => result.url)).size).toBe(1);
    expect(results.filter((result) => result.started)).toHaveLength(1);
    expect(processesOf(results[0].dataDir).filter((line) => line.includes(' -D '))).toHaveLength(1);
    expect(await query(results[0].url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('loses no acknowledged row when the server is killed, three times over', async () => {
    const home = await newHome();
    let { url, dataDir } = await startEmbeddedPostgres({ home });
    await query(url, 'create table acked (id int primary key)');
    let acked = 0;
    for (let round = 0; round < 3; round += 1) {
      const target = acked + 200;
      const writer = withConnection({ connectionString: url }, async (client) => {
        for (;;) {
          await client.query('insert into acked values ($1)', [acked + 1]);
          acked += 1;
        }
      });
      const broken = expect(writer).rejects.toThrow();
      await waitFor(() => acked >= target);
      process.kill(serverPid(dataDir), 'SIGKILL');
      await broken;

      ({ url, dataDir } = await startEmbeddedPostgres({ home }));
      const [row] = await query(url, 'select count(*)::int as found from acked where id <= $1', [acked]);
      expect(row).toEqual({ found: acked });
      // The last insert may have been kept without its acknowledgement; the next round must not repeat it.
      const [{ max } = { max: 0 }] = await query<{ max: number }>(
        url,
        'select max(id)::int as max from acked',
      );
      acked = max;
    }
  });

  it('starts although the starter before was killed while it created the data directory', async () => {
    const home = await newHome();
    const directory = join(home, 'postgres');
    const killed = runCli(['start', '--home', home]);
    await waitFor(
      () => existsSync(directory) && readdirSync(directory).some((name) => name.includes('.tmp-')),
    );
    killed.child.kill('SIGKILL');
    await killed.end;
    expect(existsSync(join(directory, 'data-18'))).toBe(false);

    const { url } = await startEmbeddedPostgres({ home });
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(readdirSync(directory).filter((name) => name.includes('.tmp-'))).toEqual([]);
  });

  it('moves to another port when a stranger has taken its own, and says so', async () => {
    const home = await newHome();
    const { url } = await startEmbeddedPostgres({ home });
    await stopEmbeddedPostgres({ home });
    const stranger = createServer((socket) => socket.resume().end('I am not PostgreSQL\n'));
    await new Promise<void>((resolve) => stranger.listen(Number(new URL(url).port), '127.0.0.1', resolve));
    onTestFinished(() => new Promise<void>((resolve) => stranger.close(() => resolve())));

    const said: string[] = [];
    const moved = await startEmbeddedPostgres({ home, log: (sentence) => said.push(sentence) });
    expect(new URL(moved.url).port).not.toBe(new URL(url).port);
    expect(said.join('\n')).toContain(`Port ${new URL(url).port} is used by another program`);
    expect(await query(moved.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('does not take the server of a copied home for its own', async () => {
    const home = await newHome();
    const original = await startEmbeddedPostgres({ home });
    const copy = await newHome();
    mkdirSync(join(copy, 'postgres'));
    for (const name of ['credentials.json', 'port']) {
      await cp(join(home, 'postgres', name), join(copy, 'postgres', name));
    }
    expect(await embeddedPostgresUrl({ home: copy })).toBeNull();
    const other = await startEmbeddedPostgres({ home: copy });
    expect(other.started).toBe(true);
    expect(other.url).not.toBe(original.url);
  });

  it('starts after a crash although another process has got the old process id', async () => {
    const home = await newHome();
    const { dataDir } = await startEmbeddedPostgres({ home });
    process.kill(serverPid(dataDir), 'SIGKILL');
    await waitFor(() => processesOf(dataDir).length === 0);
    // PostgreSQL only believes processes of its own user, so the stranger must be one of those.
    const { uid, gid } = statSync(dataDir);
    const stranger = spawn('sleep', ['60'], { stdio: 'ignore', ...(isRoot ? { uid, gid } : {}) });
    onTestFinished(() => void stranger.kill('SIGKILL'));
    const pidFile = join(dataDir, 'postmaster.pid');
    writeFileSync(pidFile, readFileSync(pidFile, 'utf8').replace(/^\d+/, String(stranger.pid)));

    const { started } = await startEmbeddedPostgres({ home });
    expect(started).toBe(true);
    expect(stranger.exitCode).toBeNull();
  });

  it('tells the end of the server log and the way out when the server cannot start', async () => {
    const home = await newHome();
    const { dataDir } = await startEmbeddedPostgres({ home });
    await stopEmbeddedPostgres({ home });
    writeFileSync(join(dataDir, 'postgresql.conf'), 'no_such_setting = 1\n', { flag: 'a' });

    const failure = startEmbeddedPostgres({ home });
    await expect(failure).rejects.toThrow('unrecognized configuration parameter "no_such_setting"');
    await expect(failure).rejects.toThrow('Set DATABASE_URL');
  });

  it('is removed with its data and passwords, and begins empty afterwards', async () => {
    const home = await newHome();
    const first = await startEmbeddedPostgres({ home });
    await query(first.url, 'create table kept as select 42 as answer');
    expect(await removeEmbeddedPostgres({ home })).toBe(true);
    expect(processesOf(first.dataDir)).toEqual([]);
    expect(existsSync(first.dataDir)).toBe(false);
    expect(await removeEmbeddedPostgres({ home })).toBe(false);
    const { url } = await startEmbeddedPostgres({ home });
    expect(new URL(url).password).not.toBe(new URL(first.url).password);
    await expect(query(url, 'select answer from kept')).rejects.toThrow('does not exist');
  });

  it('is left running by the one who started it while somebody else is connected', async () => {
    const home = await newHome();
    const { url } = await startEmbeddedPostgres({ home });
    await withConnection({ connectionString: url }, async (client) => {
      await client.query('select 1');
      expect(await stopEmbeddedPostgres({ home, ifOnlyUsedBy: 'drizzle-kit' })).toBe(false);
    });
    await waitForAsync(async () => await stopEmbeddedPostgres({ home, ifOnlyUsedBy: 'drizzle-kit' }));
  });
});
