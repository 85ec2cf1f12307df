import { createDb } from '@computefabric/db/client';
import { createTestDatabase } from '@computefabric/db/testing';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { marketFixture } from '../testing/market-fixture.ts';

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let connection: ReturnType<typeof createDb>;
beforeAll(async () => {
  database = await createTestDatabase();
  connection = createDb(database.url);
});
afterAll(async () => {
  await connection.close();
  await database.close();
});

test.each(['true', 'false', '1', 'null', '"quoted"', '{"a":1}', '[]', ['echo', 'true'], null])(
  'a command comes out of the database as it went in: %j',
  async (command) => {
    const market = marketFixture(connection.db);
    const job = await market.addJob(await market.addUser(), { command });
    expect((await market.jobRow(job)).command).toEqual(command);
  },
);
