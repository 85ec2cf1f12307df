import pg from 'pg';

const CONNECT_TIMEOUT_MS = 10_000;

/**
 * Opens one connection outside any pool, hands it to `work`, and closes it whatever happens: for what belongs
 * to a session (locks, settings) or to a database that the program does not otherwise use.
 *
 * @throws what connecting or `work` throws.
 */
export async function withConnection<T>(
  config: pg.ClientConfig,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> {
  const client = new pg.Client({ connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true, ...config });
  // A connection that breaks between two queries is reported by the next query; without a listener the
  // event would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end();
  }
}
