import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pingDocker } from './docker-api.mjs';
import { ensureDockerEngine } from './docker-engine.mjs';
import { sharedEngineDir } from './engine-users.mjs';
import { findProgram } from './find-program.mjs';

const step = {
  detail: () => {},
  note: () => {},
  done: () => {},
  skip: () => {},
  warn: () => {},
  fail: () => {},
};
const canStartEngines = process.getuid?.() === 0 && findProgram('dockerd') !== undefined;
let folder = '';
let place = { socket: '', args: [''], launcher: [''] };

beforeAll(() => {
  folder = mkdtempSync(`${tmpdir()}/computefabric-engine-`);
  // An engine beside the machine's: its own folders, and a network of its own. Without the latter it would
  // take `docker0` away: an engine that is told to use no bridge removes the one that it finds.
  const ownFolders = ['--data-root', `${folder}/data`, '--exec-root', `${folder}/exec`];
  const socket = `${folder}/docker.sock`;
  place = {
    socket,
    args: [
      '-H',
      `unix://${socket}`,
      '--pidfile',
      `${folder}/pid`,
      ...ownFolders,
      '--bridge=none',
      '--iptables=false',
    ],
    launcher: ['unshare', '--net'],
  };
});
afterAll(() => {
  spawnSync('umount', [`${folder}/data`]); // The engine leaves a mount on its data folder.
  rmSync(sharedEngineDir(place.socket), { recursive: true, force: true });
  rmSync(folder, { recursive: true, force: true });
});

describe('finding or starting a Docker engine', () => {
  test('a DOCKER_HOST that does not answer is reported, and nothing is installed or started', async () => {
    const engine = await ensureDockerEngine({ step, env: { DOCKER_HOST: `unix://${folder}/nothing.sock` } });
    expect(engine).toMatchObject({ available: false, reason: expect.stringContaining('DOCKER_HOST') });
  });

  test.runIf(canStartEngines)('an engine that a run started stays until its last user has left', async () => {
    const host = `unix://${place.socket}`;
    const hadBridge = existsSync('/sys/class/net/docker0');
    const first = await ensureDockerEngine({ step, env: {}, place });
    if (!first.available) throw new Error(first.reason);
    expect(first).toMatchObject({ host, startedByUs: true });

    const second = spawn(process.execPath, ['--input-type=module', '-e', useEngine, JSON.stringify(place)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [said] = (await once(second.stdout, 'data')) as [Buffer];
    expect(said.toString()).toBe('using it\n');

    expect(await first.stop()).toBe(`the Docker engine stays up for process ${second.pid}`);
    expect(await pingDocker(host)).toHaveProperty('version');

    second.stdin.end('leave\n');
    expect(await once(second, 'exit')).toEqual([0, null]);
    expect(await pingDocker(host)).toHaveProperty('problem');
    // The machine's own engine must not notice.
    expect(existsSync('/sys/class/net/docker0')).toBe(hadBridge);
  });
});

const useEngine = `
  import { ensureDockerEngine } from ${JSON.stringify(fileURLToPath(new URL('./docker-engine.mjs', import.meta.url)))};
  const step = { detail() {}, note() {}, done() {}, warn() {}, fail() {} };
  const engine = await ensureDockerEngine({ step, env: {}, place: JSON.parse(process.argv[1]) });
  console.log('using it');
  process.stdin.on('data', async () => {
    await engine.stop();
    process.exit(0);
  });
`;
