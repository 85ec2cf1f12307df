import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** Between two tries to get a lock that another session holds, or to connect: takes over in about a second. */
const retryMs = 500;
const connectTimeoutMs = 10_000;
/** A server that does not answer for so long is as good as gone. */
const answerTimeoutMs = 5_000;

export interface HeldLock {
  isHeld(): boolean;
  /** Gives the lock back and stops trying. */
  close(): Promise<void>;
}

interface LockOptions {
  /** Called with every change, never before the first. */
  onChange: (held: boolean) => void;
  onError?: (error: Error) => void;
  /** Shown in pg_stat_activity. */
  applicationName?: string;
}

/**
 * Tries for ever to hold a session-level advisory lock on a connection of its own. The lock is lost with the
 * connection, and tried for again.
 *
 * @returns once the first try has been made, so that a sole holder holds it from the start
 * @throws Error when the first connection fails: a wrong URL shows at once, not in a log.
 */
export async function holdLock(url: string, key: number, options: LockOptions): Promise<HeldLock> {
  const stop = new AbortController();
  let held = false;
  const change = (to: boolean) => {
    if (held === to) return;
    held = to;
    options.onChange(to);
  };

  async function connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: url,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: answerTimeoutMs,
      keepAlive: true,
      ...(options.applicationName ? { application_name: options.applicationName } : {}),
    });
    client.on('error', (error) => {
      change(false);
      if (!stop.signal.aborted) options.onError?.(error);
    });
    client.on('end', () => change(false));
    await client.connect();
    return client;
  }

  async function tryLock(client: pg.Client): Promise<void> {
    const { rows } = await client.query<{ got: boolean }>('select pg_try_advisory_lock($1) as got', [key]);
    if (rows[0]?.got) change(true);
  }

  let client: pg.Client | null = await connect();
  await tryLock(client);
  const loop = (async () => {
    while (!stop.signal.aborted) {
      await delay(retryMs, undefined, { signal: stop.signal }).catch(() => undefined);
      if (stop.signal.aborted) break;
      try {
        if (held) {
          // A connection that died without a word is noticed by this.
          await client?.query('select 1');
          continue;
        }
        client ??= await connect();
        await tryLock(client);
      } catch (thrown) {
        change(false);
        client?.end().catch(() => undefined); // it is broken; what it says about that does not matter
        client = null;
        options.onError?.(thrown instanceof Error ? thrown : new Error(String(thrown)));
      }
    }
  })();

  return {
    isHeld: () => held,
    async close() {
      stop.abort();
      await loop;
      await client?.end().catch(() => undefined); // closing anyway
    },
  };
}
