import { createServer, type RequestListener, type Server } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorBody } from '@computefabric/protocol/error-codes';

const timeouts = {
  /** Headers must be complete by then; a client that drips them holds a socket. */
  headersMs: 30_000,
  /** A whole request, body included: an artifact of 1 GiB over a line of 5 Mbit/s. JSON has its own limit. */
  requestMs: 1_800_000,
  /** Longer than the idle time of the usual clients and proxies, so that they close first and never race us. */
  keepAliveMs: 65_000,
  /** How often the limits above are enforced. */
  checkMs: 5_000,
};

/**
 * Sockets at once: ten thousand agents have two each, a poll's and a heartbeat's, and readers come on top. An idle
 * one takes about 10 KB. The limit of open files of the process must allow them.
 */
const maxConnections = 30_000;

/**
 * Serves `handler` on a port; resolves when it accepts connections.
 *
 * @param port 0 takes any free one (see `server.address()`)
 * @throws PortTakenError when somebody else has it.
 */
export async function listenOn(handler: RequestListener, host: string, port: number): Promise<Server> {
  const server = createServer({ connectionsCheckingInterval: timeouts.checkMs }, handler);
  server.headersTimeout = timeouts.headersMs;
  server.requestTimeout = timeouts.requestMs;
  server.keepAliveTimeout = timeouts.keepAliveMs;
  server.maxConnections = maxConnections;
  server.on('clientError', answerClientError);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new PortTakenError(host, port) : error),
    );
    server.listen(port, host, resolve);
  });
  return server;
}

/** Stops taking requests and cuts what is open: streams and long polls never end by themselves, clients resume. */
export async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.close((error) => (error ? reject(error) : resolve()));
    server.closeAllConnections();
  });
}

export class PortTakenError extends Error {
  override readonly name = 'PortTakenError';

  constructor(host: string, port: number) {
    super(
      `Port ${port} on ${host} is taken. Stop the program that has it, or choose another port with ORCHESTRATOR_PORT.`,
    );
  }
}

/** Bytes that are not HTTP, headers that are too long or too late: the same error form, where somebody listens. */
function answerClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, words] = clientErrors[error.code ?? ''] ?? [
    '400 Bad Request',
    'This is not an HTTP request.',
  ];
  const body: ErrorBody = {
    error: { code: 'request/invalid', message: words, retry: 'never', request_id: '' },
  };
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\n` +
      `connection: close\r\n\r\n${text}`,
  );
}

const clientErrors: Record<string, [status: string, words: string] | undefined> = {
  HPE_HEADER_OVERFLOW: ['431 Request Header Fields Too Large', 'The request headers are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['408 Request Timeout', 'The request did not arrive in time.'],
};
