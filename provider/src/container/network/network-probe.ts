import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { runInNetwork, type TaskLink } from './task-links.ts';

const PROBE_MS = 8_000;
/** Where the metadata of machines in clouds is. */
const METADATA = ['169.254.169.254', '100.100.100.200', '192.0.0.192'];

/**
 * Tries, from where a task would be, to reach what no task may: this machine on each of its addresses, the router,
 * cloud metadata. Rules that should work are not rules that work: another firewall, another kernel, a mistake of ours.
 * Gives what was reached, and a sentence when the attempts themselves prove nothing.
 */
export async function reachedFrom(link: TaskLink): Promise<string[]> {
  const listener = createServer((socket) => socket.destroy());
  listener.listen({ host: '::', port: 0 });
  listener.on('error', () => undefined); // Without IPv6 there is no "::"; the next line says it.
  try {
    await Promise.race([once(listener, 'listening'), once(listener, 'error')]);
    if (!listener.listening) {
      listener.listen({ host: '0.0.0.0', port: 0 });
      await once(listener, 'listening');
    }
    const port = portOf(listener.address());
    const targets = [
      ...[link.gateway, ...ownAddresses()].map((host) => ({ host, port })),
      ...(await routers()).flatMap((host) => [53, 80, 443].map((each) => ({ host, port: each }))),
      ...METADATA.map((host) => ({ host, port: 80 })),
    ];
    const said = await runInNetwork(
      link,
      [process.execPath, '--input-type=module', '-e', attempts, JSON.stringify(targets)],
      PROBE_MS,
    );
    const { proven, reached } = readAnswer(said);
    return proven ? reached : ['nothing could be tried from a task’s network'];
  } finally {
    listener.close();
  }
}

/** Runs in the task's network. What it can reach on its own loopback proves that it tries at all. */
const attempts = `
import { connect, createServer } from 'node:net';
const reach = ({ host, port }) => new Promise((resolve) => {
  const socket = connect({ host, port });
  const end = (answer) => { socket.destroy(); resolve(answer); };
  socket.setTimeout(1500, () => end(null));
  socket.on('connect', () => end(host + ':' + port));
  socket.on('error', () => end(null));
});
const own = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1', async () => {
  const proven = (await reach({ host: '127.0.0.1', port: own.address().port })) !== null;
  const reached = (await Promise.all(JSON.parse(process.argv.at(-1)).map(reach))).filter((each) => each !== null);
  process.stdout.write(JSON.stringify({ proven, reached }));
  own.close();
});
`;

function readAnswer(said: string): { proven: boolean; reached: string[] } {
  const answer: unknown = JSON.parse(said);
  if (typeof answer !== 'object' || answer === null) return { proven: false, reached: [] };
  const reached = 'reached' in answer && Array.isArray(answer.reached) ? answer.reached.map(String) : [];
  return { proven: 'proven' in answer && answer.proven === true, reached };
}

/** Of all interfaces but loopback and the links of tasks. */
function ownAddresses(): string[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter(({ internal }) => !internal)
      .map(({ address, family, scopeid }) =>
        family === 'IPv6' && scopeid !== undefined && scopeid !== 0 ? `${address}%${name}` : address,
      ),
  );
}

async function routers(): Promise<string[]> {
  const lines = (await readFile('/proc/net/route', 'utf8')).split('\n').slice(1);
  return lines.flatMap((line) => {
    const gateway = line.split(/\s+/)[2];
    if (gateway === undefined || gateway === '00000000') return [];
    return [[6, 4, 2, 0].map((at) => Number.parseInt(gateway.slice(at, at + 2), 16)).join('.')];
  });
}

function portOf(address: string | { port: number } | null): number {
  if (typeof address !== 'object' || address === null) throw new Error('a listener without a port');
  return address.port;
}
