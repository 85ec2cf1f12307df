import { pack } from 'tar-stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  type LocalRegistry,
  startLocalRegistry,
} from '../../provider/src/container/testing/local-registry.ts';
import { callDocker } from '../../scripts/lib/docker-api.mjs';
import { ensureSampleImage } from '../../scripts/lib/sample-image.mjs';

const engineHost = process.env.DOCKER_HOST || 'unix:///var/run/docker.sock';
let registry: LocalRegistry;
let image: string;

beforeEach(async () => {
  registry = await startLocalRegistry();
  image = `${registry.host}/library/node:20-slim`;
});
afterEach(async () => {
  await callDocker(engineHost, `/images/${encodeURIComponent(image)}?force=true`, {
    method: 'DELETE',
    deadlineSeconds: 30,
  });
  await registry.close();
});

test('where a registry answers, the image of the sample job is pulled, with its progress shown', async () => {
  const layer = pack();
  layer.entry({ name: 'a-file' }, Buffer.alloc(3_000_000, process.pid));
  layer.finalize();
  registry.add('library/node:20-slim', [await buffer(layer)]);
  const told: string[] = [];
  const step = {
    detail: (text: string) => told.push(text),
    note: (text: string) => told.push(text),
    done: () => {},
    skip: () => {},
    warn: () => {},
    fail: () => {},
  };
  const localImage = `computefabric/test-never-built:${process.pid}`;
  const found = await ensureSampleImage({ engineHost, step, registryImage: image, localImage });
  expect(found).toEqual({ ok: true, image, how: 'pulled' });
  expect(told.some((text) => text.startsWith(`pulling ${image}: `))).toBe(true);
});
