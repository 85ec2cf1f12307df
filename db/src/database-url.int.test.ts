import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest';
import { resolveDatabaseUrl, withoutPassword } from './database-url.ts';
import { embeddedPostgresUrl, removeEmbeddedPostgres } from './embedded-postgres.ts';

let home = '';

beforeAll(() => {
  home = join(mkdtempSync(join(tmpdir(), `computefabric-test-${process.pid}-`)), 'state');
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

it('refuses a server that is too old and names both versions', async () => {
  const url = await serverOfVersion(140_011);
  const refused = resolveDatabaseUrl({ databaseUrl: url, home });
  await expect(refused).rejects.toThrow('is PostgreSQL 14; version 15 or newer is needed');
});

it('starts the embedded database when none is given', async () => {
  const { url, embedded } = await resolveDatabaseUrl({ databaseUrl: undefined, home });
  expect(embedded).toBe(true);
  expect(await embeddedPostgresUrl({ home })).toBe(url);
});

/** A stand-in that speaks just enough of PostgreSQL's protocol to tell its version. @returns its URL. */
async function serverOfVersion(version: number): Promise<string> {
  const message = (type: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(5);
    head.write(type);
    head.writeInt32BE(body.length + 4, 1);
    return Buffer.concat([head, body]);
  };
  const ready = message('Z', Buffer.from('I'));
  const column = Buffer.from(
    '0001' + '76657273696f6e00' + '00000000' + '0000' + '00000017' + '0004' + 'ffffffff' + '0000',
    'hex',
  );
  const text = String(version);
  const row = Buffer.concat([Buffer.from([0, 1, 0, 0, 0, text.length]), Buffer.from(text)]);
  const answer = [message('T', column), message('D', row), message('C', Buffer.from('SELECT 1\0')), ready];
  const server = createServer((socket) => {
    // The first message is the start-up, which has no type; it is welcomed without a password.
    socket.once('data', () => {
      socket.write(Buffer.concat([message('R', Buffer.alloc(4)), ready]));
      socket.on(
        'data',
        (data) => data.toString('latin1').startsWith('Q') && socket.write(Buffer.concat(answer)),
      );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return `postgresql://u@127.0.0.1:${address.port}/d?sslmode=disable`;
}
