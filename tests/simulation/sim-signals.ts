import {
  channels,
  type Channel,
  type SignalHandler,
  type Signals,
} from '../../orchestrator/src/background/signals.ts';

/** The ear of one orchestrator: hears what the world tells it, unless its connection is gone. */
export class SimSignals implements Signals {
  readonly #handlers = new Map<string, Set<SignalHandler>>();
  /** The connection that listens is gone: what is signalled meanwhile is never heard. */
  deaf = false;

  on(channel: Channel, handler: SignalHandler): () => void {
    return this.#add(channel, handler);
  }

  onId(channel: Channel, id: string, handler: SignalHandler): () => void {
    return this.#add(`${channel} ${id}`, handler);
  }

  async close(): Promise<void> {
    this.#handlers.clear();
  }

  /** A signal as PostgreSQL delivers it: one id, several with blanks between them, or nothing for anything. */
  hear(name: string, payload: string): void {
    const channel = channels.find((known) => known === name);
    if (!channel || this.deaf) return;
    if (payload === '') {
      for (const [key, handlers] of this.#handlers) {
        if (key === channel || key.startsWith(`${channel} `)) for (const handler of handlers) handler('');
      }
      return;
    }
    for (const id of payload.split(' ')) {
      for (const handler of this.#handlers.get(channel) ?? []) handler(id);
      for (const handler of this.#handlers.get(`${channel} ${id}`) ?? []) handler(id);
    }
  }

  /** Listens again; like the real one, it then says that anything may have been missed. */
  reconnect(): void {
    this.deaf = false;
    for (const channel of channels) this.hear(channel, '');
  }

  #add(key: string, handler: SignalHandler): () => void {
    const handlers = this.#handlers.get(key) ?? new Set();
    this.#handlers.set(key, handlers.add(handler));
    return () => {
      handlers.delete(handler);
      if (handlers.size === 0 && this.#handlers.get(key) === handlers) this.#handlers.delete(key);
    };
  }
}
