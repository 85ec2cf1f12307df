import { expect, it } from 'vitest';
import { withConnection } from './one-connection.ts';
import { createTestDatabase } from './testing.ts';

it('gives every caller a migrated database of its own, and takes it away again', async () => {
  const [one, two] = await Promise.all([createTestDatabase(), createTestDatabase()]);
  expect(one.url).not.toBe(two.url);
  await run(one.url, 'create table only_here (id int)');
  await expect(run(two.url, 'select from only_here')).rejects.toThrow('does not exist');
  await run(two.url, 'select from jobs');
  await Promise.all([one.close(), two.close()]);
  await expect(run(one.url, 'select 1')).rejects.toThrow('does not exist');
});

it('is dropped although somebody is still connected', async () => {
  const { url, close } = await createTestDatabase();
  await withConnection({ connectionString: url }, async (client) => {
    await close();
    await expect(client.query('select 1')).rejects.toThrow();
  });
});

async function run(connectionString: string, text: string): Promise<void> {
  await withConnection({ connectionString }, (client) => client.query(text));
}
