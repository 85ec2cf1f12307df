import { expect, test } from 'vitest';
import { DockerDriver } from './docker-driver.ts';
import { parseEngineAddress } from './engine-address.ts';

test.each([
  [null, { socketPath: '/var/run/docker.sock' }],
  ['', { socketPath: '/var/run/docker.sock' }],
  ['unix:///run/user/1000/docker.sock', { socketPath: '/run/user/1000/docker.sock' }],
  ['npipe:////./pipe/docker_engine', { socketPath: '//./pipe/docker_engine' }],
  ['tcp://127.0.0.1:2375', { host: '127.0.0.1', port: 2375 }],
  ['tcp://localhost', { host: 'localhost', port: 2375 }],
  ['tcp://[::1]:1234', { host: '::1', port: 1234 }],
])('%s is read', (text, address) => {
  expect(parseEngineAddress(text)).toEqual(address);
});

test.each(['ssh://host', 'https://host:2376', '/var/run/docker.sock', 'tcp://'])(
  '%s is refused by its value',
  (text) => {
    expect(() => parseEngineAddress(text)).toThrow(text);
  },
);

test('an engine that is not there is said so, in words that help', async () => {
  const socket = new DockerDriver({ address: { socketPath: '/nowhere/docker.sock' }, agentId: 'a' });
  await expect(socket.ping()).rejects.toMatchObject({
    code: 'engine-unreachable',
    message: expect.stringContaining('there is no Docker engine at /nowhere/docker.sock'),
  });
  const port = new DockerDriver({ address: { host: '127.0.0.1', port: 9 }, agentId: 'a' });
  await expect(port.ping()).rejects.toMatchObject({
    code: 'engine-unreachable',
    message: expect.stringContaining('nobody answers at 127.0.0.1:9'),
  });
});
