import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Contract } from '@computefabric/protocol/contract';
import { type ErrorBody, type ErrorCode, errorCodeRow } from '@computefabric/protocol/error-codes';
import type { z } from 'zod';

/** A request as the fake saw it: parsed by its contract, so a client that breaks the contract fails here. */
export interface SeenRequest<P = unknown, Q = unknown, B = unknown> {
  method: string;
  path: string;
  headers: IncomingMessage['headers'];
  params: P;
  query: Q;
  body: B;
}

/** Writes the answer itself: for streams, and for servers that misbehave. */
export type RawAnswer = (response: ServerResponse, request: IncomingMessage) => void | Promise<void>;

/** A refusal in the form of the API. */
export interface Refusal {
  refuse: ErrorCode;
  message?: string;
  fields?: { path: string; message: string }[];
  details?: Record<string, unknown>;
  headers?: Record<string, string>;
  status?: number;
}

type Handler = (request: SeenRequest) => unknown;

/**
 * A market for tests of clients: a real HTTP server that answers as the scenario says. Replies are typed and
 * checked by the contracts, so that a scenario cannot promise what the market would never say.
 */
export class FakeMarket {
  readonly requests: SeenRequest[] = [];
  readonly #server: Server;
  readonly #routes: { contract: Contract; pattern: RegExp; names: string[]; handler: Handler }[] = [];
  readonly #sockets = new Set<Socket>();
  #port = 0;

  private constructor() {
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        // A broken scenario must fail its test: 599 is no status that a client could take for an answer.
        response.writeHead(599).end(String(error));
      });
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  /** @param port 0 takes a free one. */
  static async start(port = 0): Promise<FakeMarket> {
    const market = new FakeMarket();
    await new Promise<void>((resolve, reject) => {
      market.#server.once('error', reject);
      market.#server.listen(port, '127.0.0.1', resolve);
    });
    market.#port = (market.#server.address() as AddressInfo).port;
    return market;
  }

  /** Its address, also when it has stopped and nobody answers there. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Answers a route; the newest answer given for it counts. */
  on<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
    contract: Contract<P, Q, B, R>,
    handler: (
      request: SeenRequest<z.output<P>, z.output<Q>, z.output<B>>,
    ) => z.input<R> | Refusal | RawAnswer | Promise<z.input<R> | Refusal | RawAnswer>,
  ): this {
    const names = [...contract.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '');
    const pattern = new RegExp(`^${contract.path.replaceAll(/\{\w+\}/g, '([^/]+)')}$`);
    this.#routes.unshift({ contract, pattern, names, handler: handler as Handler });
    return this;
  }

  /** Requests that came for a route so far. */
  seen(contract: Contract): SeenRequest[] {
    const pattern = new RegExp(`^${contract.path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
    return this.requests.filter(({ method, path }) => method === contract.method && pattern.test(path));
  }

  /** Cuts every open connection, as a network does. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Once is enough; a second time does nothing. */
  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.cut();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fake');
    const route = this.#routes.find(
      ({ contract, pattern }) => contract.method === request.method && pattern.test(url.pathname),
    );
    if (!route) {
      refuse(response, { refuse: 'request/not-found' });
      return;
    }
    const { contract, pattern, names } = route;
    const values = (pattern.exec(url.pathname) ?? []).slice(1).map(decodeURIComponent);
    const text = await readText(request);
    const seen: SeenRequest = {
      method: contract.method,
      path: url.pathname,
      headers: request.headers,
      params: contract.params?.parse(Object.fromEntries(names.map((name, index) => [name, values[index]]))),
      query: contract.query?.parse(Object.fromEntries(url.searchParams)),
      body: contract.body?.parse(text === '' ? undefined : JSON.parse(text)),
    };
    this.requests.push(seen);
    if (contract.idempotent && !request.headers['idempotency-key']) {
      refuse(response, { refuse: 'request/idempotency-key-missing' });
      return;
    }
    const answer = await route.handler(seen);
    if (typeof answer === 'function') await (answer as RawAnswer)(response, request);
    else if (isRefusal(answer)) refuse(response, answer);
    else if (contract.status === 204) response.writeHead(204).end();
    else {
      contract.reply?.parse(answer);
      response.writeHead(contract.status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    }
  }
}

/** Opens a stream of server-sent events. */
export function startEvents(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  response.flushHeaders();
}

export function sendEvent(
  response: ServerResponse,
  event: { type: string; id: string; data: unknown },
): void {
  response.write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event.data)}\n\n`);
}

function isRefusal(answer: unknown): answer is Refusal {
  return typeof answer === 'object' && answer !== null && 'refuse' in answer;
}

function refuse(response: ServerResponse, refusal: Refusal): void {
  const row = errorCodeRow(refusal.refuse);
  const body: ErrorBody = {
    error: {
      code: refusal.refuse,
      message: refusal.message ?? row.message,
      ...(refusal.fields ? { fields: refusal.fields } : {}),
      ...(refusal.details ? { details: refusal.details } : {}),
      retry: row.retry,
      request_id: 'req-fake-1',
    },
  };
  response
    .writeHead(refusal.status ?? row.status, { 'content-type': 'application/json', ...refusal.headers })
    .end(JSON.stringify(body));
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
