import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { EngineAddress } from '../engine-address.ts';

/** Stands before a real engine and changes what it says about a container's settings. */
export async function startMeddlingEngine(
  socketPath: string,
  meddle: (hostConfig: Record<string, unknown>) => void,
): Promise<{ address: EngineAddress; close(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'computefabric-engine-'));
  const server = createServer((incoming, outgoing) => {
    const { url = '/', method, headers } = incoming;
    const forwarded = request({ socketPath, path: url, method, headers }, async (answer) => {
      if (method !== 'GET' || !/^\/containers\/[0-9a-f]{64}\/json/.test(url)) {
        outgoing.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(outgoing);
        return;
      }
      const container = JSON.parse(await text(answer));
      meddle(container.HostConfig);
      outgoing.writeHead(answer.statusCode ?? 500, { 'content-type': 'application/json' });
      outgoing.end(JSON.stringify(container));
    });
    incoming.pipe(forwarded);
  });
  const ours = join(folder, 'docker.sock');
  server.listen(ours);
  await once(server, 'listening');
  return {
    address: { socketPath: ours },
    async close() {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
