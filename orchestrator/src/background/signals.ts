import type { Tx } from '@computefabric/db/client';
import { listen } from '@computefabric/db/listen';
import type { Logger } from '@computefabric/runtime/log';
import { sql } from 'drizzle-orm';

/**
 * What the programs tell each other through the database, so that nothing in a job's path waits for a timer.
 *
 * - `cf_job`      a job's event or output was stored; payload: the job's id
 * - `cf_queue`    something to match appeared: a queued job, a free machine; no payload
 * - `cf_provider` an offer or a changed verdict waits for a machine; payload: the provider's id
 * - `cf_ended`    a job became final; payload: the job's id
 */
export const channels = ['cf_job', 'cf_queue', 'cf_provider', 'cf_ended'] as const;
export type Channel = (typeof channels)[number];

/** A signal is a hint to look at a table. An empty payload means: look at everything, some may have been missed. */
export type SignalHandler = (payload: string) => void;

export interface Signals {
  /** Registers a handler; returns how to remove it. Handlers must not throw. */
  on(channel: Channel, handler: SignalHandler): () => void;
  close(): Promise<void>;
}

/** Sends a signal when the transaction commits, and not at all when it does not. */
export async function notify(tx: Tx, channel: Channel, payload = ''): Promise<void> {
  await tx.execute(sql`select pg_notify(${channel}, ${payload})`);
}

/** Listens on one connection of its own. After a reconnect every handler is called with an empty payload. */
export async function startSignals(databaseUrl: string, log: Logger): Promise<Signals> {
  const handlers = new Map<Channel, Set<SignalHandler>>(channels.map((channel) => [channel, new Set()]));
  const deliver = (channel: Channel, payload: string) => {
    // A handler may remove itself while it runs; a Set iterates on safely.
    for (const handler of handlers.get(channel) ?? []) handler(payload);
  };
  const listener = await listen(
    databaseUrl,
    channels,
    (name, payload) => {
      const channel = channels.find((known) => known === name);
      if (channel) deliver(channel, payload);
    },
    {
      onReconnect: () => {
        for (const channel of channels) deliver(channel, '');
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
    close: () => listener.close(),
  };
}
