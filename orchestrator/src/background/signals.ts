import type { Tx } from '@computefabric/db/client';
import { listen } from '@computefabric/db/listen';
import type { Logger } from '@computefabric/runtime/log';
import { sql } from 'drizzle-orm';

/**
 * What the programs tell each other through the database, so that nothing in a job's path waits for a timer.
 *
 * - `cf_job`      a job's event or output was stored; payload: the job's id
 * - `cf_queue`    the matcher's view has changed; payload: the id of the job or the machine to read again
 * - `cf_provider` an offer or a changed verdict waits for a machine; payload: the provider's id
 * - `cf_ended`    a job became final; payload: the job's id
 * - `cf_blocked`  a blocked job, or a group, is to be looked at; payload: its id
 * - `cf_schedule` a schedule was made or changed; no payload
 * - `cf_stripe`   an event of Stripe was kept; payload: its id
 * - `cf_payments` money is to be moved from or to a card; payload: an id
 */
export const channels = [
  'cf_job',
  'cf_queue',
  'cf_provider',
  'cf_ended',
  'cf_blocked',
  'cf_schedule',
  'cf_stripe',
  'cf_payments',
] as const;
export type Channel = (typeof channels)[number];

/** A signal is a hint to look at a table. An empty payload means: look at everything, some may have been missed. */
export type SignalHandler = (payload: string) => void;

export interface Signals {
  /** Registers a handler; returns how to remove it. Handlers must not throw. */
  on(channel: Channel, handler: SignalHandler): () => void;
  /** The same for signals about one id only: ten thousand waiting machines cost no more than one. */
  onId(channel: Channel, id: string, handler: SignalHandler): () => void;
  close(): Promise<void>;
}

/** Sends a signal when the transaction commits, and not at all when it does not. */
export async function notify(tx: Tx, channel: Channel, payload = ''): Promise<void> {
  await tx.execute(sql`select pg_notify(${channel}, ${payload})`);
}

/** Ids in one signal: PostgreSQL carries up to 8000 bytes, and an id has at most 32. */
export const idsPerSignal = 200;

/** The same about many ids at once; those who listen hear of each. */
export async function notifyAll(tx: Tx, channel: Channel, ids: readonly string[]): Promise<void> {
  const payloads: string[] = [];
  for (let first = 0; first < ids.length; first += idsPerSignal) {
    payloads.push(ids.slice(first, first + idsPerSignal).join(' '));
  }
  if (payloads.length === 0) return;
  await tx.execute(
    sql`select pg_notify(${channel}, payload) from unnest(${sql.param(payloads)}::text[]) as payload`,
  );
}

/** Listens on one connection of its own. After a reconnect every handler is called with an empty payload. */
export async function startSignals(databaseUrl: string, log: Logger): Promise<Signals> {
  const handlers = new Map<Channel, Set<SignalHandler>>(channels.map((channel) => [channel, new Set()]));
  const byId = new Map<string, Set<SignalHandler>>();
  // A handler may remove itself while it runs; a Set iterates on safely.
  const deliver = (channel: Channel, payload: string) => {
    for (const handler of handlers.get(channel) ?? []) handler(payload);
    for (const handler of byId.get(`${channel} ${payload}`) ?? []) handler(payload);
  };
  const deliverToAll = (channel: Channel) => {
    for (const handler of handlers.get(channel) ?? []) handler('');
    for (const [key, waiting] of byId) {
      if (key.startsWith(`${channel} `)) for (const handler of waiting) handler('');
    }
  };
  const listener = await listen(
    databaseUrl,
    channels,
    (name, payload) => {
      const channel = channels.find((known) => known === name);
      if (!channel) return;
      if (payload === '') deliverToAll(channel);
      else for (const id of payload.split(' ')) deliver(channel, id);
    },
    {
      onReconnect: () => {
        for (const channel of channels) deliverToAll(channel);
      },
      onError: (error) => log.warn({ err: error }, 'lost the connection that listens for signals'),
      applicationName: 'computefabric-signals',
    },
  );
  return {
    on(channel, handler) {
      const set = handlers.get(channel);
      set?.add(handler);
      return () => set?.delete(handler);
    },
    onId(channel, id, handler) {
      const key = `${channel} ${id}`;
      const waiting = byId.get(key) ?? new Set();
      byId.set(key, waiting.add(handler));
      return () => {
        waiting.delete(handler);
        if (waiting.size === 0 && byId.get(key) === waiting) byId.delete(key);
      };
    },
    close: () => listener.close(),
  };
}
