import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { TaskSpec } from './container-driver.ts';
import { DockerDriver } from './docker-driver.ts';
import { collect } from './driver-suite.ts';
import { parseEngineAddress } from './engine-address.ts';
import { importImage, shellLayer } from './testing/shell-image.ts';
import { testTaskSpec } from './testing/task-spec.ts';

const address = parseEngineAddress(process.env.DOCKER_HOST ?? null);
const client = new Docker(address);
const run = `${process.pid}-${Date.now().toString(36)}`;
const image = `computefabric/test-prepared-${run}:1`;
let imageId = '';
let driver: DockerDriver;
let tests = 0;
let leases = 0;
/** Names of prepared images of other agents: what this one has is the difference. */
let before = new Set<string>();

beforeAll(async () => {
  // A user that owns nothing, and settings of every kind that an image passes on.
  const changes = ['ENV PATH=/bin', 'ENV OWN=image', 'USER 1234:1234', 'WORKDIR /work', 'LABEL a=b'];
  await importImage(client, image, await shellLayer(), changes);
  imageId = (await client.getImage(image).inspect()).Id;
});

afterAll(async () => {
  await client.getImage(image).remove({ force: true });
});

beforeEach(async () => {
  tests += 1;
  before = new Set(await preparedNames());
  driver = new DockerDriver({ address, agentId: `prepared-test-${run}-${tests}`, prepareImages: true });
});

afterEach(async () => {
  for (const { leaseId } of await driver.listOwned()) await driver.removeLease(leaseId);
  await driver.close();
  expect(await ourNames()).toEqual([]);
});

async function preparedNames(): Promise<string[]> {
  const images = await client.listImages({ filters: { reference: ['computefabric/prepared'] } });
  return images.flatMap(({ RepoTags }) => RepoTags ?? []);
}

async function ourNames(): Promise<string[]> {
  return (await preparedNames()).filter((name) => !before.has(name));
}

function spec(command: string, change: Partial<TaskSpec> = {}): TaskSpec {
  leases += 1;
  return testTaskSpec({ leaseId: `lease_p${leases}`, image: imageId, command, ...change });
}

async function imageOf(containerId: string): Promise<string> {
  return (await client.getContainer(containerId).inspect()).Image;
}

/** Makes tasks until one comes from a prepared image. */
async function preparedTask(command: string, change: Partial<TaskSpec> = {}): Promise<string> {
  await driver.imagePresent(image);
  return await vi.waitFor(
    async () => {
      const wanted = spec(command, change);
      const id = await driver.createTask(wanted);
      if ((await imageOf(id)) !== imageId) return id;
      await driver.removeLease(wanted.leaseId);
      throw new Error('made as it is without preparing');
    },
    { timeout: 60_000, interval: 500 },
  );
}

async function outputOf(id: string): Promise<string> {
  const live = await driver.attachOutput(id);
  await driver.startTask(id);
  return (await collect(live)).text('stdout');
}

const look =
  'id -u; pwd; echo $OWN; stat -c "%n %a %u" /outputs /state 2>/dev/null; echo kept > /outputs/x && cat /outputs/x';

test('a task of a prepared image sees what one of the image itself sees, and its results are found', async () => {
  const plain = await driver.createTask(spec(look, { stateDirectory: '/state' }));
  expect(await imageOf(plain)).toBe(imageId);
  const prepared = await preparedTask(look, { stateDirectory: '/state' });
  const seen = await outputOf(prepared);
  expect(seen).toBe(await outputOf(plain));
  expect(seen).toBe('1234\n/work\nimage\n/outputs 777 0\n/state 777 0\nkept\n');
  await driver.waitTask(prepared);
  const files: Record<string, string> = {};
  await driver.collectOutputs(prepared, { maxFiles: 10, maxBytes: 1_000 }, async (path, _size, content) => {
    files[path] = await text(content);
  });
  expect(files).toEqual({ x: 'kept\n' });
});

test('a prepared image that somebody has removed is done without', async () => {
  const first = await preparedTask('true');
  const { leaseId } = (await driver.listOwned())[0] ?? { leaseId: '' };
  const prepared = await imageOf(first);
  await driver.removeLease(leaseId);
  await client.getImage(prepared).remove({ force: true });
  const id = await driver.createTask(spec(look));
  expect(await imageOf(id)).toBe(imageId);
  expect(await outputOf(id)).toContain('kept');
});

test('what a killed agent has prepared is removed by the next process, and is not trusted by its name', async () => {
  await preparedTask('true');
  for (const { leaseId } of await driver.listOwned()) await driver.removeLease(leaseId);
  expect(await ourNames()).toHaveLength(1);
  const next = new DockerDriver({
    address,
    agentId: `prepared-test-${run}-${tests}`,
    prepareImages: true,
  });
  const id = await next.createTask(spec('true'));
  expect(await imageOf(id)).toBe(imageId);
  await next.removeLease(`lease_p${leases}`);
  await next.close();
  expect(await ourNames()).toEqual([]);
});

test('nobody is offered an image that is prepared', async () => {
  await preparedTask('true');
  const names = await driver.imageNames(1_000);
  expect(names).toContain(image);
  expect(names.filter((name) => name.startsWith('computefabric/prepared'))).toEqual([]);
});
