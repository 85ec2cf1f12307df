import { createHmac } from 'node:crypto';
import type { Event, WebhookEndpoint } from './objects.ts';
import type { World } from './world.ts';

export interface DeliverySettings {
  /** How often each event is sent. */
  copies: number;
  /** Events wait for `flush` and then go out in random order. */
  shuffled: boolean;
  /** Events wait for `flush`. */
  held: boolean;
}

const retries = 10;
const baseMs = 50;

/** Sends events to the registered addresses, signed as Stripe does, again and again until they are taken. */
export class WebhookDelivery {
  readonly #world: World;
  #settings: DeliverySettings = { copies: 1, shuffled: false, held: false };
  #waiting: { event: Event; endpoint: WebhookEndpoint }[] = [];
  #chain: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  readonly #stop = new AbortController();
  /** Each try, for tests. */
  readonly tries: { event: string; type: string; status: number }[] = [];

  constructor(world: World) {
    this.#world = world;
    world.onEvent = (event) => this.#take(event);
  }

  configure(settings: Partial<DeliverySettings>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /** Sends what was held back; resolves when all of it was taken or given up. */
  async flush(): Promise<void> {
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#settings.shuffled) shuffle(waiting);
    for (const { event, endpoint } of waiting) this.#enqueue(event, endpoint);
    await this.idle();
  }

  async idle(): Promise<void> {
    let last: Promise<unknown> | undefined;
    while (last !== this.#chain) {
      last = this.#chain;
      await last;
    }
  }

  /** The same event once more. */
  resend(eventId: string): void {
    const event = this.#world.get('event', eventId);
    for (const endpoint of this.#endpointsFor(event)) this.#enqueue(event, endpoint);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stop.abort();
    await this.#chain;
  }

  #take(event: Event): void {
    const { copies, shuffled, held } = this.#settings;
    for (const endpoint of this.#endpointsFor(event)) {
      for (let copy = 0; copy < copies; copy += 1) {
        if (shuffled || held) this.#waiting.push({ event, endpoint });
        else this.#enqueue(event, endpoint);
      }
    }
  }

  #endpointsFor(event: Event): WebhookEndpoint[] {
    return this.#world
      .all('webhook_endpoint')
      .filter(({ enabled_events }) => enabled_events.includes('*') || enabled_events.includes(event.type));
  }

  #enqueue(event: Event, endpoint: WebhookEndpoint): void {
    this.#chain = this.#chain.then(() => this.#deliver(event, endpoint));
  }

  async #deliver(event: Event, endpoint: WebhookEndpoint): Promise<void> {
    for (let attempt = 0; attempt <= retries && !this.#isClosed; attempt += 1) {
      const status = await this.#send(event, endpoint);
      this.tries.push({ event: event.id, type: event.type, status });
      if (status >= 200 && status < 300) return;
      await new Promise((resolve) => {
        setTimeout(resolve, baseMs * 2 ** Math.min(attempt, 5));
      });
    }
  }

  async #send(event: Event, endpoint: WebhookEndpoint): Promise<number> {
    const body = JSON.stringify(event, null, 2);
    try {
      const response = await fetch(endpoint.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json; charset=utf-8',
          'stripe-signature': signatureOf(body, endpoint.secret, Math.floor(Date.now() / 1_000)),
          'user-agent': 'Stripe/1.0 (stand-in)',
        },
        body,
        redirect: 'manual',
        signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(20_000)]),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return 0; // nobody there: tried again like any refusal
    }
  }
}

/** `t=…,v1=…` over the exact bytes. */
export function signatureOf(body: string, secret: string, timestamp: number): string {
  const signature = createHmac('sha256', secret).update(`${timestamp}.${body}`).digest('hex');
  return `t=${timestamp},v1=${signature}`;
}

function shuffle<T>(list: T[]): void {
  for (let i = list.length - 1; i > 0; i -= 1) {
    const j = Math.floor(Math.random() * (i + 1));
    [list[i], list[j]] = [list[j] as T, list[i] as T];
  }
}
