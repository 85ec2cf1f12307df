import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { FaultProxy, type SeenCall } from './fault-proxy.ts';

let server: Server;
let proxy: FaultProxy;
const calls: SeenCall[] = [];

beforeEach(async () => {
  calls.length = 0;
  server = createServer((request, response) => {
    request.resume();
    request.once('end', () => response.writeHead(request.url === '/no' ? 409 : 200).end('answer'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = address && typeof address === 'object' ? address.port : 0;
  proxy = await FaultProxy.start({ targets: () => [1, port], onCall: (call) => calls.push(call) });
});

afterEach(async () => {
  await proxy.close();
  server.closeAllConnections();
  server.close();
});

const ask = (path: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${proxy.port}${path}`, { signal: AbortSignal.timeout(5_000), ...init });

test('an open link passes everything, finds the target that answers and notes each call with its status', async () => {
  const body = 'x'.repeat(300_000);
  expect(
    await (await ask('/yes', { method: 'POST', body, headers: { 'computefabric-fence': '7' } })).text(),
  ).toBe('answer');
  expect((await ask('/no')).status).toBe(409);
  expect(calls.map(({ method, path, status }) => [method, path, status])).toEqual([
    ['POST', '/yes', 200],
    ['GET', '/no', 409],
  ]);
  expect(calls[0]?.headers.get('computefabric-fence')).toBe('7');
});

test('a refusing link lets nobody in, and an open one again', async () => {
  proxy.set('refusing');
  await expect(ask('/yes')).rejects.toThrow('fetch failed');
  proxy.set('open');
  expect((await ask('/yes')).status).toBe(200);
});

test('a stalled link answers nothing until it is open, and then everything', async () => {
  await (await ask('/yes')).text(); // a kept connection, and below a new one
  proxy.set('stalled');
  const [kept, fresh] = [ask('/yes'), ask('/yes')];
  const silent = AbortSignal.timeout(200);
  await once(silent, 'abort');
  expect(calls).toHaveLength(1);
  proxy.set('open');
  expect((await kept).status).toBe(200);
  expect((await fresh).status).toBe(200);
});

test('a reset ends what is under way', async () => {
  proxy.set('stalled');
  const hanging = ask('/yes');
  hanging.catch(() => undefined);
  proxy.reset();
  proxy.set('open');
  expect((await ask('/yes')).status).toBe(200);
});
