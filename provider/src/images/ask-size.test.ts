import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { askImageSize } from './ask-size.ts';

let close = () => {};
afterEach(() => close());

/** A registry on the loopback; gives its host. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  close = () => {
    server.closeAllConnections();
    server.close();
  };
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const layers = (...sizes: number[]) => ({
  schemaVersion: 2,
  config: { size: 7 },
  layers: sizes.map((size) => ({ size })),
});
const json = (response: ServerResponse, body: unknown) => response.end(JSON.stringify(body));

test('what has to be fetched is the sum of the layers and the configuration', async () => {
  const asked: string[] = [];
  const host = await serve((request, response) => {
    asked.push(request.url ?? '');
    json(response, layers(1_000, 200));
  });
  expect(await askImageSize(`${host}/team/train:2`, 'x86_64')).toBe(1_207);
  expect(asked).toEqual(['/v2/team/train/manifests/2']);
});

test('of an image for many kinds of machine the one for this kind counts', async () => {
  const host = await serve((request, response) => {
    const of = (architecture: string, letter: string) => ({
      digest: digest(letter),
      platform: { os: 'linux', architecture },
    });
    if (request.url?.endsWith(digest('a'))) json(response, layers(10));
    else if (request.url?.endsWith(digest('b'))) json(response, layers(20));
    else json(response, { schemaVersion: 2, manifests: [of('amd64', 'a'), of('arm64', 'b')] });
  });
  expect(await askImageSize(`${host}/x:1`, 'x86_64')).toBe(17);
  expect(await askImageSize(`${host}/x:1`, 'aarch64')).toBe(27);
  expect(await askImageSize(`${host}/x:1`, 'riscv64')).toBeNull();
});

test('a registry that wants a token which anybody may have is asked with one', async () => {
  const host = await serve((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', 'http://registry');
    if (pathname === '/token') json(response, { token: `for ${searchParams.get('scope')}` });
    else if (request.headers.authorization === 'Bearer for repository:x:pull') json(response, layers(1));
    else {
      const realm = `Bearer realm="http://${host}/token",service="registry",scope="repository:x:pull"`;
      response.writeHead(401, { 'www-authenticate': realm }).end();
    }
  });
  expect(await askImageSize(`${host}/x`, 'x86_64')).toBe(8);
});

test('a registry that refuses, lies about its form, says too much or nothing at all gives no answer', async () => {
  let how: 'refuses' | 'lies' | 'floods' | 'hangs' = 'refuses';
  const host = await serve((_, response) => {
    if (how === 'refuses') response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
    else if (how === 'lies') json(response, { layers: [{ size: -1 }], config: {} });
    else if (how === 'floods') response.end(Buffer.alloc(5_000_000, '['));
  });
  for (how of ['refuses', 'lies', 'floods'] as const)
    expect(await askImageSize(`${host}/x`, 'x86_64')).toBeNull();
  how = 'hangs';
  const began = performance.now();
  expect(await askImageSize(`${host}/x`, 'x86_64', AbortSignal.timeout(200))).toBeNull();
  expect(performance.now() - began).toBeLessThan(2_500);
  expect(await askImageSize('127.0.0.1:9/nobody:1', 'x86_64')).toBeNull();
  expect(await askImageSize('Not An Image', 'x86_64')).toBeNull();
});
