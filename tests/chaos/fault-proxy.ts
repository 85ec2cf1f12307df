import { once } from 'node:events';
import { createServer, connect, type Server, type Socket } from 'node:net';

/** How a link treats its connections. */
export type LinkState = 'open' | 'stalled' | 'refusing';

export interface SeenCall {
  method: string;
  path: string;
  headers: ReadonlyMap<string, string>;
  status: number;
  /** When the request's first byte passed here, ms since 1970. */
  sentAt: number;
  answeredAt: number;
}

interface FaultProxyOptions {
  /** Ports of loopback to connect to: the next one at each connection, the others when it does not answer. */
  targets: () => readonly number[];
  port?: number;
  /** Told of each HTTP/1.1 call that was answered. */
  onCall?: (call: SeenCall) => void;
}

interface Link {
  near: Socket;
  far: Socket;
}

/**
 * A TCP link of ours between two programs that can be cut: every connection reset, or held without a byte
 * passing in either direction, or refused. It also notes what was asked and answered on it, as a witness that
 * belongs to neither side.
 */
export class FaultProxy {
  readonly #options: FaultProxyOptions;
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #waiting = new Set<Socket>();
  #state: LinkState = 'open';
  #turn = 0;

  private constructor(options: FaultProxyOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => this.#take(near));
  }

  static async start(options: FaultProxyOptions): Promise<FaultProxy> {
    const proxy = new FaultProxy(options);
    proxy.#server.listen(options.port ?? 0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the link has no port');
    return address.port;
  }

  set(state: LinkState): void {
    this.#state = state;
    if (state === 'refusing') this.reset();
    for (const { near, far } of this.#links) {
      if (state === 'stalled') {
        near.pause();
        far.pause();
      } else {
        near.resume();
        far.resume();
      }
    }
    if (state === 'stalled') return;
    for (const near of this.#waiting) {
      this.#waiting.delete(near);
      this.#take(near);
    }
  }

  /** Resets every connection, in the middle of whatever passes. */
  reset(): void {
    for (const { near, far } of this.#links) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
    for (const near of this.#waiting) near.resetAndDestroy();
    this.#waiting.clear();
  }

  async close(): Promise<void> {
    this.reset();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(near: Socket): void {
    // A connection that breaks is what this is for: both ends learn of it by their own sockets.
    near.on('error', () => undefined);
    if (this.#state === 'refusing') {
      near.resetAndDestroy();
      return;
    }
    if (this.#state === 'stalled') {
      this.#waiting.add(near);
      near.once('close', () => this.#waiting.delete(near));
      return;
    }
    void this.#connect(near);
  }

  async #connect(near: Socket): Promise<void> {
    const far = await this.#reach();
    if (!far) {
      near.resetAndDestroy();
      return;
    }
    if (near.destroyed) {
      far.destroy();
      return;
    }
    const link: Link = { near, far };
    this.#links.add(link);
    const { onCall } = this.#options;
    const witness = onCall ? new Witness(onCall) : null;
    near.on('data', (bytes) => {
      witness?.asked(bytes);
      if (!far.write(bytes)) near.pause();
    });
    far.on('data', (bytes) => {
      witness?.answered(bytes);
      if (!near.write(bytes)) far.pause();
    });
    near.on('drain', () => this.#state !== 'stalled' && far.resume());
    far.on('drain', () => this.#state !== 'stalled' && near.resume());
    near.on('end', () => far.end());
    far.on('end', () => near.end());
    near.on('close', () => this.#end(link));
    far.on('close', () => this.#end(link));
    if (this.#state === 'stalled') {
      near.pause();
      far.pause();
    }
  }

  #end(link: Link): void {
    this.#links.delete(link);
    link.near.destroy();
    link.far.destroy();
  }

  async #reach(): Promise<Socket | null> {
    const targets = this.#options.targets();
    this.#turn += 1;
    const first = this.#turn;
    for (let step = 0; step < targets.length; step += 1) {
      const port = targets[(first + step) % targets.length];
      if (port === undefined) continue;
      const far = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      far.on('error', () => undefined);
      const connected = await new Promise<boolean>((resolve) => {
        far.once('connect', () => resolve(true));
        far.once('close', () => resolve(false));
      });
      if (connected) return far;
    }
    return null;
  }
}

/**
 * Reads calls off one connection: on HTTP/1.1 without pipelining an answer begins with the first bytes that
 * come back after a request. Bodies are not looked at.
 */
class Witness {
  readonly #onCall: (call: SeenCall) => void;
  #open: Omit<SeenCall, 'status' | 'answeredAt'> | null = null;

  constructor(onCall: (call: SeenCall) => void) {
    this.#onCall = onCall;
  }

  asked(bytes: Buffer): void {
    const head = bytes.subarray(0, 16_384).toString('latin1');
    const first = /^([A-Z]{3,7}) (\S+) HTTP\/1\.1\r\n/.exec(head);
    if (!first?.[1] || !first[2]) return; // a further part of a body
    const headers = new Map<string, string>();
    for (const line of (head.split('\r\n\r\n')[0] ?? '').split('\r\n').slice(1)) {
      const colon = line.indexOf(':');
      if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
    }
    this.#open = { method: first[1], path: first[2], headers, sentAt: Date.now() };
  }

  answered(bytes: Buffer): void {
    if (!this.#open) return;
    const status = /^HTTP\/1\.1 (\d{3})/.exec(bytes.subarray(0, 16).toString('latin1'))?.[1];
    if (status === undefined || status === '100') return;
    this.#onCall({ ...this.#open, status: Number(status), answeredAt: Date.now() });
    this.#open = null;
  }
}
