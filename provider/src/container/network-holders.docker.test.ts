import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { TaskSpec } from './container-driver.ts';
import { DockerDriver } from './docker-driver.ts';
import { DockerEngine } from './docker-engine.ts';
import { parseEngineAddress } from './engine-address.ts';
import { NetworkHolders } from './network-holders.ts';
import { labels } from './task-labels.ts';
import { importImage, shellLayer } from './testing/shell-image.ts';
import { testTaskSpec } from './testing/task-spec.ts';

const address = parseEngineAddress(process.env.DOCKER_HOST ?? null);
const client = new Docker(address);
const run = `${process.pid}-${Date.now().toString(36)}`;
const image = `computefabric/test-holders-${run}:1`;
let agentId = '';
let driver: DockerDriver;
let tests = 0;

beforeAll(async () => {
  await importImage(client, image, await shellLayer(), ['ENV PATH=/bin']);
});

afterAll(async () => {
  await client.getImage(image).remove({ force: true });
});

beforeEach(() => {
  tests += 1;
  agentId = `holders-test-${run}-${tests}`;
  driver = new DockerDriver({ address, agentId, prepareNetworks: true });
});

afterEach(async () => {
  for (const { leaseId } of await driver.listOwned()) await driver.removeLease(leaseId);
  await driver.close();
  expect(await holders()).toEqual([]);
});

async function holders(): Promise<string[]> {
  const filters = { label: [`${labels.agent}=${agentId}`, labels.holder] };
  return (await client.listContainers({ all: true, filters })).map(({ Id }) => Id);
}

/** Attempts are apart by more than the quiet that a preparation waits for: each one made puts it off. */
function eventually<T>(look: () => Promise<T>): Promise<T> {
  return vi.waitFor(look, { timeout: 60_000, interval: 1_500 });
}

async function oneHolder(): Promise<string> {
  return await eventually(async () => {
    const [id] = await holders();
    if (id === undefined) throw new Error('no network is prepared');
    return id;
  });
}

/** A task in a prepared network, and the holder of that. */
async function joinedTask(leaseId: string, command: string): Promise<{ id: string; holder: string }> {
  return await eventually(async () => {
    const id = await driver.createTask(spec(leaseId, command));
    const holder = (await networkOf(id)).replace(/^container:/, '');
    if ((await holders()).includes(holder)) return { id, holder };
    await driver.removeLease(leaseId);
    throw new Error('no network was ready');
  });
}

function spec(leaseId: string, command: string): TaskSpec {
  return testTaskSpec({ image, leaseId, command, network: { mode: 'none', allow: [] } });
}

async function output(containerId: string): Promise<string> {
  const live = await driver.attachOutput(containerId);
  await driver.startTask(containerId);
  let text = '';
  for await (const { data } of live) text += Buffer.from(data).toString('utf8');
  return text;
}

async function networkOf(id: string): Promise<string> {
  return (await client.getContainer(id).inspect()).HostConfig.NetworkMode ?? '';
}

test('a task joins the prepared network, sees loopback alone and the usual name, and takes it along when it goes', async () => {
  const { id, holder } = await joinedTask(
    'lease_joined',
    'hostname; ls /sys/class/net; wc -l < /proc/net/route',
  );
  expect(await output(id)).toBe('job\nlo\n1\n');
  await driver.removeLease('lease_joined');
  expect(await holders()).not.toContain(holder);
});

test('each task has a network of its own', async () => {
  const [first, second] = [await joinedTask('lease_a', 'true'), await joinedTask('lease_b', 'true')];
  expect(first.holder).not.toBe(second.holder);
});

test('a task whose prepared network is gone at its start says so, and has one of its own when it is made anew', async () => {
  const { id, holder } = await joinedTask('lease_late', 'ls /sys/class/net');
  await client.getContainer(holder).remove({ force: true });
  await expect(driver.startTask(id)).rejects.toMatchObject({ code: 'network-gone' });
  await driver.removeLease('lease_late');
  const anew = await driver.createTask(spec('lease_late', 'ls /sys/class/net'));
  expect(await networkOf(anew)).toBe('none');
  expect(await output(anew)).toBe('lo\n');
});

test('what a dead agent kept ready is removed by its next process', async () => {
  const left = await oneHolder();
  const next = new DockerDriver({ address, agentId, prepareNetworks: true });
  await eventually(async () => expect(await holders()).not.toContain(left));
  await next.close();
});

test('a network that a task was given is not cleared away before the container of that is there', async () => {
  const networks = new NetworkHolders(new DockerEngine(address), agentId, null);
  const given = async () => {
    const { networkMode: mode } = await networks.take({ mode: 'none', allow: [] });
    if (mode === 'none') throw new Error('no network is ready');
    return mode.replace(/^container:/, '');
  };
  const first = await eventually(given);
  // By the time that a second one is ready, everything spare was looked for and removed.
  const second = await eventually(given);
  expect(await holders()).toEqual(expect.arrayContaining([first, second]));
  await networks.close();
});
