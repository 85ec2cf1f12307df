import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** First wait after a lost connection; doubles up to the cap, with some chance in it. */
const FIRST_BACKOFF_MS = 100;
const BACKOFF_CAP_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** A peer that vanished without a word is noticed after interval + timeout. */
const HEARTBEAT_INTERVAL_MS = 20_000;
const HEARTBEAT_TIMEOUT_MS = 10_000;

export interface ListenOptions {
  /**
   * Called after every connect, the first included, once all channels are listened to. Notifications sent
   * while there was no connection are gone for ever, so catch up from the tables here.
   */
  onReconnect: () => void | Promise<void>;
  /** Lost connections, failed tries to reconnect, and errors that the callbacks threw. */
  onError?: (error: Error) => void;
  /** Shown in pg_stat_activity. */
  applicationName?: string;
}

export interface Listener {
  /** Ends the connection and the reconnecting. No callback starts after this resolves. */
  close(): Promise<void>;
}

/**
 * Listens to PostgreSQL notifications on a connection of its own and reconnects for ever when it is lost.
 * A notification is a hint to look at a table, never the only carrier of a fact.
 *
 * @param channels names of lower-case letters, digits and underscores.
 * @throws Error when the first connection fails: a wrong URL shows at once, not in a log.
 */
export async function listen(
  url: string,
  channels: readonly string[],
  onNotify: (channel: string, payload: string) => void | Promise<void>,
  options: ListenOptions,
): Promise<Listener> {
  for (const channel of channels) {
    if (!/^[a-z_][a-z0-9_]{0,62}$/.test(channel)) throw new Error(`Not a channel name: ${channel}`);
  }
  const stop = new AbortController();
  const report = options.onError ?? throwLater;

  const guarded = (callback: () => void | Promise<void>): void => {
    if (stop.signal.aborted) return;
    void (async () => await callback())().catch((error: unknown) => report(asError(error)));
  };
  const open = async (): Promise<Connection> => {
    const connection = await connect(
      url,
      channels,
      options.applicationName ?? 'computefabric-listen',
      (message) => guarded(() => onNotify(message.channel, message.payload ?? '')),
    );
    guarded(options.onReconnect);
    return connection;
  };

  const first = await open();
  const loop = (async () => {
    let connection: Connection = first;
    while (!stop.signal.aborted) {
      const reason = await connection.untilLost(stop.signal);
      if (stop.signal.aborted) break;
      if (options.onError !== undefined) options.onError(reason);
      const next = await reconnect(open, stop.signal, options.onError ?? (() => {}));
      if (next === null) return;
      connection = next;
    }
    await connection.end();
  })();

  return {
    async close() {
      stop.abort();
      await loop;
    },
  };
}

interface Connection {
  /** Resolves with the reason when the connection is lost, or when the signal is aborted. */
  untilLost(signal: AbortSignal): Promise<Error>;
  end(): Promise<void>;
}

async function connect(
  connectionString: string,
  channels: readonly string[],
  applicationName: string,
  onMessage: (message: pg.Notification) => void,
): Promise<Connection> {
  const client = new pg.Client({
    connectionString,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: HEARTBEAT_TIMEOUT_MS,
    keepAlive: true,
    application_name: applicationName,
  });
  const lost = new Promise<Error>((resolve) => {
    client.once('error', resolve);
    client.once('end', () => resolve(new Error('The database closed the connection that listens')));
  });
  // After the first error more may follow; without a listener they would end the process.
  client.on('error', () => {});
  client.on('notification', onMessage);
  try {
    await client.connect();
    for (const channel of channels) await client.query(`listen ${client.escapeIdentifier(channel)}`);
  } catch (error) {
    await endQuietly(client);
    throw error;
  }
  return {
    async untilLost(signal) {
      const heartbeat = new AbortController();
      try {
        return await Promise.race([
          lost,
          silence(client, heartbeat.signal),
          aborted(signal, heartbeat.signal),
        ]);
      } finally {
        heartbeat.abort();
        if (!signal.aborted) await endQuietly(client);
      }
    },
    end: async () => await endQuietly(client),
  };
}

async function reconnect(
  open: () => Promise<Connection>,
  signal: AbortSignal,
  onError: (error: Error) => void,
): Promise<Connection | null> {
  let backoffMs = FIRST_BACKOFF_MS;
  while (!signal.aborted) {
    try {
      return await open();
    } catch (error) {
      onError(asError(error));
    }
    await pause(backoffMs * (0.5 + Math.random() / 2), signal);
    backoffMs = Math.min(backoffMs * 2, BACKOFF_CAP_MS);
  }
  return null;
}

/** Resolves when the server no longer answers a small question. */
async function silence(client: pg.Client, signal: AbortSignal): Promise<Error> {
  for (;;) {
    await pause(HEARTBEAT_INTERVAL_MS, signal);
    if (signal.aborted) return new Error('stopped');
    try {
      await client.query('select 1');
    } catch (error) {
      return asError(error);
    }
  }
}

function aborted(signal: AbortSignal, finished: AbortSignal): Promise<Error> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(new Error('closed'));
    signal.addEventListener('abort', () => resolve(new Error('closed')), { once: true, signal: finished });
  });
}

/** Waits, or less when the signal is aborted. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, { signal }).catch(() => {
    // Aborted: the caller looks at the signal.
  });
}

/** Ends a connection that may be broken: waits for the goodbye at most two seconds. */
async function endQuietly(client: pg.Client): Promise<void> {
  const limit = new AbortController();
  await Promise.race([client.end(), pause(2_000, limit.signal)]).catch(() => {
    // It was already broken; nothing is left to end.
  });
  limit.abort();
}

/** Without an `onError` a fault in a callback is a fault of the program, as anywhere else. */
function throwLater(error: Error): void {
  queueMicrotask(() => {
    throw error;
  });
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
