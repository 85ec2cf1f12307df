import { chmod, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { toError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import type { OwnerPolicy } from '../policy/owner-policy.ts';
import {
  type ControlAnswer,
  controlCommands,
  type ControlRequest,
  controlRequest,
  mostRequestBytes,
  mostSocketPathBytes,
} from './control-protocol.ts';

export interface ControlServerOptions {
  /** Where the socket is made anew, in a folder of its own. The caller holds the agent's lock. */
  path: string;
  policy: Pick<OwnerPolicy, 'status' | 'pause' | 'resume' | 'drain'>;
  log: Logger;
  /** Longest that a connection may last. */
  deadlineMs?: number;
}

export interface ControlServer {
  /** Takes the socket away and ends what is connected. */
  close(): Promise<void>;
}

/** An owner types one command at a time; a script may be a little quicker. */
const mostConnections = 16;

/**
 * Lets the agent's own user (and root) command it on this machine: nobody else may open the folder or the socket.
 *
 * @throws when the socket cannot be made
 */
export async function startControlServer(options: ControlServerOptions): Promise<ControlServer> {
  const { path, log } = options;
  const bytes = Buffer.byteLength(path);
  if (bytes > mostSocketPathBytes)
    throw new Error(`${path} is too long for a socket (${bytes} bytes of ${mostSocketPathBytes})`);
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // It may have been there with other rights. Closed before the socket is made, which has those of the umask at first.
  await chmod(folder, 0o700);
  await rm(path, { force: true });

  const connected = new Set<Socket>();
  const server = createServer((socket) => {
    connected.add(socket);
    socket.once('close', () => connected.delete(socket));
    serve(socket, options);
  });
  server.maxConnections = mostConnections;
  await listen(server, path);
  server.on('error', (error) => log.error({ err: error }, 'the agent’s socket has failed'));
  await chmod(path, 0o600);

  return {
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of connected) socket.destroy();
      await closed;
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** One request, one answer. */
function serve(socket: Socket, { policy, log, deadlineMs = 10_000 }: ControlServerOptions): void {
  let received = Buffer.alloc(0);
  const late = setTimeout(() => socket.destroy(), deadlineMs);
  socket.once('close', () => clearTimeout(late));
  // Who asked has gone away: nobody is left to tell.
  socket.on('error', () => socket.destroy());
  const read = (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    const end = received.indexOf('\n');
    if (end === -1 && received.length <= mostRequestBytes) return;
    socket.off('data', read);
    // What follows is read and thrown away, so that the answer arrives.
    socket.resume();
    const asked =
      end === -1 || end > mostRequestBytes
        ? refusal('invalid', `a request has at most ${mostRequestBytes} bytes`)
        : parseRequest(received.subarray(0, end).toString('utf8'));
    if ('ok' in asked) {
      socket.end(`${JSON.stringify(asked)}\n`);
      return;
    }
    void obey(asked, policy, log).then((answer) => socket.end(`${JSON.stringify(answer)}\n`));
  };
  socket.on('data', read);
}

function parseRequest(line: string): ControlRequest | Extract<ControlAnswer, { ok: false }> {
  let asked: unknown;
  try {
    asked = JSON.parse(line);
  } catch {
    return refusal('invalid', 'the request is not JSON'); // Which letter is wrong helps nobody.
  }
  const parsed = controlRequest.safeParse(asked);
  if (parsed.success) return parsed.data;
  return refusal(
    'invalid',
    `this agent knows no such request; it knows ${controlCommands.join(', ')} (is the command newer than the agent?)`,
  );
}

async function obey(
  request: ControlRequest,
  policy: ControlServerOptions['policy'],
  log: Logger,
): Promise<ControlAnswer> {
  try {
    if (request.command !== 'status') log.info({ request }, 'the owner commands');
    return { ok: true, status: await carryOut(request, policy) };
  } catch (thrown) {
    if (thrown instanceof RangeError) return refusal('invalid', thrown.message);
    log.error({ err: toError(thrown), request }, 'the owner’s command failed');
    return refusal('failed', toError(thrown).message);
  }
}

async function carryOut(request: ControlRequest, policy: ControlServerOptions['policy']) {
  switch (request.command) {
    case 'status':
      return policy.status();
    case 'pause':
      return await policy.pause(request.until);
    case 'resume':
      return await policy.resume();
    case 'drain':
      return await policy.drain();
    default:
      return request satisfies never;
  }
}

function refusal(code: 'invalid' | 'failed', message: string): Extract<ControlAnswer, { ok: false }> {
  return { ok: false, error: { code, message } };
}
