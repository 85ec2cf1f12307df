import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { resolveDatabaseUrl, withoutPassword } from './database-url.ts';
import { embeddedPostgresUrl, removeEmbeddedPostgres } from './embedded-postgres.ts';

let home = '';

beforeAll(() => {
  home = join(mkdtempSync(join(tmpdir(), 'computefabric-home-')), 'state');
});

afterAll(async () => {
  await removeEmbeddedPostgres({ home });
  rmSync(join(home, '..'), { recursive: true });
});

it('uses the given database and starts none', async () => {
  const databaseUrl = inject('testDatabaseUrl');
  expect(await resolveDatabaseUrl({ databaseUrl, home })).toEqual({ url: databaseUrl, embedded: false });
  expect(await embeddedPostgresUrl({ home })).toBeNull();
});

it('says why a given database cannot be used, without its password', async () => {
  const wrong = new URL(inject('testDatabaseUrl'));
  wrong.password = 'secret-guess';
  wrong.port = '1';
  const refused = resolveDatabaseUrl({ databaseUrl: wrong.href, home });
  await expect(refused).rejects.toThrow(/^Cannot use the database at DATABASE_URL .*ECONNREFUSED/);
  await expect(refused).rejects.not.toThrow('secret-guess');
  await expect(resolveDatabaseUrl({ databaseUrl: 'mysql://somewhere', home })).rejects.toThrow(
    'not a PostgreSQL URL',
  );
  expect(withoutPassword('postgresql://u:p@h:1/d?password=p')).toBe('postgresql://u@h:1/d');
});

it('starts the embedded database when none is given', async () => {
  const { url, embedded } = await resolveDatabaseUrl({ databaseUrl: undefined, home });
  expect(embedded).toBe(true);
  expect(await embeddedPostgresUrl({ home })).toBe(url);
});
