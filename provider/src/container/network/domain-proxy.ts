import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import { BlockList, connect, isIPv4, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { toError } from '@computefabric/runtime/errors';
import { neverReached, proxyPort } from './egress-rules.ts';

/** As many at once as a task with the internet may have. */
const MOST_CONNECTIONS = 256;
const CONNECT_MS = 20_000;
/** A connection on which nothing moves is given up. */
const IDLE_MS = 600_000;
const USUAL_PORTS = [80, 443];

/** The addresses of a name; of the older kind alone, since tasks have no other. */
export type Resolve = (host: string) => Promise<string[]>;

export const resolveName: Resolve = async (host) =>
  (await lookup(host, { family: 4, all: true })).map(({ address }) => address);

interface ProxyOptions {
  /** The machine's end of the task's link: nobody else reaches it. */
  gateway: string;
  /** The task's own address: nobody else is served. */
  client: string;
  /** As a job names them, such as `pypi.org`, `*.pypi.org` or `example.com:8443`. */
  allow: readonly string[];
  /** Networks that nobody reaches beside `neverReached`. */
  alsoNever: () => Promise<readonly string[]>;
  resolve: Resolve;
}

/**
 * The way out of a task that may reach named servers alone. A program asks it for a name (`CONNECT`, or plain HTTP);
 * it looks the name up itself, refuses what is not on the list and names that mean an address which no task may reach,
 * and connects to the very address that it has checked: what a name means a moment later does not matter.
 */
export class DomainProxy {
  readonly #options: ProxyOptions;
  readonly #server: Server;
  readonly #sockets = new Set<Duplex>();

  private constructor(options: ProxyOptions) {
    this.#options = options;
    this.#server = createServer({ headersTimeout: 30_000, requestTimeout: 0 }, (incoming, outgoing) => {
      this.#forward(incoming, outgoing).catch((thrown: unknown) => answer(outgoing, refusalOf(thrown)));
    });
    this.#server.maxConnections = MOST_CONNECTIONS;
    this.#server.on('connection', (socket: Socket) => {
      if (socket.remoteAddress !== options.client) socket.destroy();
      else this.#keep(socket);
    });
    this.#server.on('connect', (incoming: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#tunnel(incoming.url ?? '', socket, head).catch((thrown: unknown) => {
        const { status, words } = refusalOf(thrown);
        socket.end(
          `HTTP/1.1 ${status} Refused\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n${words}\n`,
        );
      });
    });
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  static async open(options: ProxyOptions): Promise<DomainProxy> {
    const proxy = new DomainProxy(options);
    proxy.#server.listen(proxyPort, options.gateway);
    await once(proxy.#server, 'listening');
    proxy.#server.on('error', () => undefined); // Of a single connection that was gone before it was taken.
    proxy.#server.unref();
    return proxy;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  async #tunnel(target: string, socket: Duplex, head: Buffer): Promise<void> {
    const { host, port } = targetOf(target);
    const far = await this.#connect(host, port);
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    if (head.length > 0) far.write(head);
    far.pipe(socket);
    socket.pipe(far);
    socket.on('close', () => far.destroy());
    far.on('close', () => socket.destroy());
  }

  async #forward(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = URL.parse(incoming.url ?? '');
    if (url?.protocol !== 'http:') throw new Refusal(400, 'ask for http://NAME/ or CONNECT NAME:PORT');
    const address = await this.#allowed(url.hostname, Number(url.port === '' ? 80 : url.port));
    const headers = Object.fromEntries(
      Object.entries(incoming.headers).filter(
        ([name]) => !/^(proxy-.*|connection|keep-alive|te|upgrade)$/.test(name),
      ),
    );
    const far = request({
      host: address,
      port: url.port === '' ? 80 : url.port,
      method: incoming.method,
      path: url.pathname + url.search,
      headers: { ...headers, host: url.host },
      setHost: false,
      agent: false,
      timeout: CONNECT_MS,
    });
    far.on('timeout', () => far.destroy());
    far.on('response', (reply) => {
      far.setTimeout(IDLE_MS);
      outgoing.writeHead(reply.statusCode ?? 502, reply.headers);
      reply.pipe(outgoing);
      reply.on('error', () => outgoing.destroy());
    });
    far.on('error', (error) => answer(outgoing, refusalOf(error)));
    incoming.pipe(far);
    outgoing.on('close', () => far.destroy());
  }

  async #connect(host: string, port: number): Promise<Socket> {
    const address = await this.#allowed(host, port);
    const far = connect({ host: address, port, timeout: CONNECT_MS });
    this.#keep(far);
    far.on('timeout', () => far.destroy(new Error('nothing moves')));
    await once(far, 'connect');
    far.setTimeout(IDLE_MS);
    return far;
  }

  /** The address to connect to, checked. */
  async #allowed(host: string, port: number): Promise<string> {
    const name = host.toLowerCase().replace(/\.$/, '');
    if (!isAllowed(name, port, this.#options.allow)) {
      throw new Refusal(403, `${name}:${port} is not among the servers that this job may reach`);
    }
    const refused = new BlockList();
    for (const network of [...neverReached, ...(await this.#options.alsoNever())]) {
      const [base = '', bits] = network.split('/');
      refused.addSubnet(base, Number(bits), 'ipv4');
    }
    const addresses = await this.#options.resolve(name);
    // All of them: a name that means one address here and another one there is not to be trusted with either.
    if (addresses.length === 0 || addresses.some((each) => !isIPv4(each) || refused.check(each, 'ipv4'))) {
      throw new Refusal(403, `${name} means an address that no job may reach`);
    }
    return addresses[0] ?? '';
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy()); // One end has gone: the other follows.
  }
}

/** Whether a list allows a name at a port. */
export function isAllowed(name: string, port: number, allow: readonly string[]): boolean {
  return allow.some((entry) => {
    const [pattern = '', only] = entry.split(':');
    if (only === undefined ? !USUAL_PORTS.includes(port) : Number(only) !== port) return false;
    if (!pattern.startsWith('*.')) return name === pattern;
    return name.endsWith(pattern.slice(1)) && name.length >= pattern.length;
  });
}

/** What the task is told. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;

  constructor(status: number, words: string) {
    super(words);
    this.status = status;
  }
}

function refusalOf(thrown: unknown): { status: number; words: string } {
  if (thrown instanceof Refusal) return { status: thrown.status, words: thrown.message };
  return { status: 502, words: `the server could not be reached: ${toError(thrown).message}` };
}

function answer(outgoing: ServerResponse, { status, words }: { status: number; words: string }): void {
  if (outgoing.headersSent) outgoing.destroy();
  else outgoing.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`${words}\n`);
}

function targetOf(authority: string): { host: string; port: number } {
  const [, host, port] = /^([a-z0-9.-]{1,253}):(\d{1,5})$/i.exec(authority) ?? [];
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535) {
    throw new Refusal(400, 'ask for CONNECT NAME:PORT');
  }
  return { host, port: Number(port) };
}
