import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callDocker, pingDocker } from './docker-api.mjs';
import { ensureSampleImage } from './sample-image.mjs';

const engineHost = process.env['DOCKER_HOST'] || 'unix:///var/run/docker.sock';
const image = `computefabric/test-sample-image:${process.pid}`;
const notes: string[] = [];
const step = {
  detail: () => {},
  note: (text: string) => notes.push(text),
  done: () => {},
  skip: () => {},
  warn: () => {},
  fail: () => {},
};
const options = {
  engineHost,
  step,
  registryImage: '127.0.0.1:9/no-such-registry/node:20',
  localImage: image,
};

beforeAll(async () => {
  if (!('version' in (await pingDocker(engineHost))))
    throw new Error(`no Docker engine answers at ${engineHost}`);
});
afterAll(async () => {
  await callDocker(engineHost, `/images/${encodeURIComponent(image)}?force=true`, {
    method: 'DELETE',
    deadlineSeconds: 30,
  });
});

describe('the image of the sample job', () => {
  test('is built from this machine where no registry answers, and used as it is the next time', async () => {
    expect(await ensureSampleImage(options)).toEqual({
      ok: true,
      image,
      how: 'built from this machine’s node',
    });
    expect(notes.join()).toContain('cannot be pulled here');
    expect(await ensureSampleImage(options)).toEqual({ ok: true, image, how: 'already here' });
  });

  test('runs the sample program without network and privileges, and the network learns', async () => {
    const program = readFileSync(new URL('../../examples/train-network/train.mjs', import.meta.url), 'utf8');
    const { exitCode, output } = await run({
      Image: image,
      Cmd: ['node', '--input-type=module', '-e', program],
      Env: ['TRAIN_SECONDS=4'],
    });
    expect(output).toMatch(/epoch 1 .* loss 0\.\d+ /);
    const accuracy = Number(/accuracy (\d+\.\d) % on 800 points it has never seen/.exec(output)?.[1]);
    expect(accuracy).toBeGreaterThan(80);
    expect(exitCode).toBe(0);
  });

  test('has a shell, because a command given as text runs in one', async () => {
    const { exitCode, output } = await run({ Image: image, Cmd: ['/bin/sh', '-c', 'echo hello; exit 3'] });
    expect(output).toBe('hello\n');
    expect(exitCode).toBe(3);
  });
});

/** Runs a container to its end with the restrictions that a job has. */
async function run(config: { Image: string; Cmd: string[]; Env?: string[] }) {
  const post = async (path: string, body?: unknown) => {
    const text = body === undefined ? undefined : new TextEncoder().encode(JSON.stringify(body));
    const reply = await callDocker(engineHost, path, {
      method: 'POST',
      deadlineSeconds: 60,
      contentType: 'application/json',
      ...(text === undefined ? {} : { body: stream(text) }),
    });
    if (reply.status >= 300) throw new Error(`${path}: ${reply.status} ${reply.text}`);
    return reply.text === '' ? {} : (JSON.parse(reply.text) as Record<string, unknown>);
  };
  const created = await post('/containers/create', {
    ...config,
    Tty: true, // One plain stream instead of the engine's framed two.
    HostConfig: {
      NetworkMode: 'none',
      CapDrop: ['ALL'],
      SecurityOpt: ['no-new-privileges'],
      Tmpfs: { '/outputs': '' },
    },
  });
  const id = String(created['Id']);
  try {
    await post(`/containers/${id}/start`);
    const ended = await post(`/containers/${id}/wait`);
    const logs = await callDocker(engineHost, `/containers/${id}/logs?stdout=true&stderr=true`, {
      deadlineSeconds: 30,
    });
    return { exitCode: ended['StatusCode'], output: logs.text.replaceAll('\r\n', '\n') };
  } finally {
    await callDocker(engineHost, `/containers/${id}?force=true`, { method: 'DELETE', deadlineSeconds: 30 });
  }
}

async function* stream(bytes: Uint8Array) {
  yield bytes;
}
