import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@computefabric/runtime/log';
import Docker from 'dockerode';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DockerDriver } from '../container/docker-driver.ts';
import { parseEngineAddress } from '../container/engine-address.ts';
import { type LocalRegistry, startLocalRegistry } from '../container/testing/local-registry.ts';
import { shellLayer } from '../container/testing/shell-image.ts';
import { PulledImages } from './pulled-images.ts';

const address = parseEngineAddress(process.env.DOCKER_HOST ?? null);
const client = new Docker(address);
const run = `${process.pid}-${Date.now().toString(36)}`;
const folder = mkdtempSync(join(tmpdir(), 'cf-images-'));
const driver = new DockerDriver({ address, agentId: `images-${run}` });
const names = new Set<string>();
let registry: LocalRegistry;

beforeAll(async () => {
  registry = await startLocalRegistry();
});
afterAll(async () => {
  await registry.close();
  for (const name of names)
    await client
      .getImage(name)
      .remove({ force: true })
      .catch(() => undefined);
  rmSync(folder, { recursive: true, force: true });
});

/** An image in the registry, unlike every other one; its name for the engine. */
async function add(name: string): Promise<string> {
  const tag = `${name}-${run}:1`;
  registry.add(tag, [await shellLayer({ 'bin/name': name })]);
  const reference = `${registry.host}/${tag}`;
  names.add(reference);
  return reference;
}

test('a private image is pulled with its login alone, used by nobody without, and gone with its last task', async () => {
  const reference = await add('private');
  const tag = reference.slice(registry.host.length + 1).replace(':1', '');
  registry.logins.set(tag, 'somebody:right');
  const images = await PulledImages.open({
    path: join(folder, 'private.json'),
    rules: { budgetBytes: 2 ** 40, mostBytes: 2 ** 40, pins: [], prepull: false },
    driver,
    log: silentLogger,
  });
  images.inUse = () => [reference];
  const obtain = (name: string, password: string | null) =>
    images.obtain(name, {
      deadlineSeconds: 60,
      ...(password === null ? {} : { login: { username: 'somebody', password } }),
    });
  for (const password of [null, 'wrong'])
    await expect(obtain(reference, password)).rejects.toMatchObject({ code: 'pull-denied' });
  const { id, digest } = await obtain(reference, 'right');
  const repository = reference.slice(0, -2);
  // It is here now, and still nobody gets it who could not have pulled it.
  for (const name of [reference, id, `${repository}@${digest}`])
    await expect(obtain(name, null)).rejects.toMatchObject({ code: 'pull-denied' });
  await expect(obtain(reference, 'wrong')).rejects.toMatchObject({ code: 'pull-denied' });
  expect((await obtain(reference, 'right')).id).toBe(id);
  await images.tidy();
  expect(images.names?.filter((name) => name.includes(tag))).toEqual([]);
  images.inUse = () => [];
  await images.tidy();
  expect(await driver.imagePresent(id)).toBeNull();
  registry.logins.clear();
});

test('on a real engine what the agent pulled goes by its budget; what was there before or is in use stays', async () => {
  const [ours, used, owners] = [await add('ours'), await add('used'), await add('owners')];
  await driver.pullImage(owners, { deadlineSeconds: 60 });
  const other = `computefabric/test-owners-${run}`;
  names.add(`${other}:2`);
  await client.getImage(owners).tag({ repo: other, tag: '2' });
  await client.getImage(owners).remove();

  const images = await PulledImages.open({
    path: join(folder, 'images.json'),
    rules: { budgetBytes: 0, mostBytes: 2 ** 40, pins: [], prepull: false },
    driver,
    log: silentLogger,
  });
  images.inUse = () => [ours, used, owners];
  const obtain = (reference: string) => images.obtain(reference, { deadlineSeconds: 60 });
  // The same image as one of the owner's, under another name: it was here before.
  for (const reference of [ours, used, owners]) await obtain(reference);
  const container = await client.createContainer({ Image: used, Cmd: ['true'] });
  try {
    images.inUse = () => [];
    await images.tidy();
    expect(await driver.imagePresent(ours)).toBeNull();
    for (const reference of [used, owners, `${other}:2`])
      expect(await driver.imagePresent(reference)).not.toBeNull();
  } finally {
    await container.remove({ force: true });
  }
  await images.tidy();
  expect(await driver.imagePresent(used)).toBeNull();
  expect(await driver.imagePresent(`${other}:2`)).not.toBeNull();
});
