import { chmod, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { newBearer } from '@computefabric/protocol/api-key';
import { Secret } from '@computefabric/runtime/secret';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CliError } from '../errors/cli-error.ts';
import { isReadableByOthers, readConfigFile, writeConfigFile } from './config-file.ts';
import { parseEnvironment } from './environment.ts';
import { checkToken, loadSettings, parseUrl, requireToken } from './settings.ts';

const key = newBearer('user').token;
let dir: string;
let configFile: string;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'cfab-settings-'));
  configFile = join(dir, 'computefabric', 'config.toml');
});
afterEach(() => rm(dir, { recursive: true }));

function environment(env: Record<string, string> = {}) {
  return parseEnvironment({ XDG_CONFIG_HOME: dir, ...env });
}

async function write(text: string): Promise<void> {
  await mkdir(dirname(configFile), { recursive: true });
  await writeFile(configFile, text);
}

describe('precedence', () => {
  test('flag over environment over file over default, and each says where it comes from', async () => {
    const fromEnv = environment({ COMPUTEFABRIC_URL: 'http://env.test' });
    expect((await loadSettings(environment(), {})).url).toEqual({
      value: 'http://127.0.0.1:4000',
      origin: 'default',
    });
    await write('url = "http://file.test/"\n');
    expect((await loadSettings(environment(), {})).url).toEqual({
      value: 'http://file.test',
      origin: 'file',
    });
    expect((await loadSettings(fromEnv, {})).url).toEqual({
      value: 'http://env.test',
      origin: 'environment',
    });
    expect((await loadSettings(fromEnv, { url: 'http://flag.test' })).url).toEqual({
      value: 'http://flag.test',
      origin: 'flag',
    });
  });

  test('an empty variable is an absent one', async () => {
    expect((await loadSettings(environment({ COMPUTEFABRIC_URL: '' }), {})).url.origin).toBe('default');
    expect((await loadSettings(environment({ COMPUTEFABRIC_TOKEN: '' }), {})).token).toBeNull();
  });

  test('a stored key is used for the address that it is stored with, and for no other', async () => {
    await write(`url = "http://home.test"\ntoken = "${key}"\n`);
    expect((await loadSettings(environment(), {})).token?.origin).toBe('file');
    const elsewhere = await loadSettings(environment(), { url: 'http://evil.test' });
    expect(elsewhere).toMatchObject({ token: null, keyIsFor: 'http://home.test' });
    expect(() => requireToken(elsewhere, 'cfab')).toThrow(CliError);
    const own = environment({ COMPUTEFABRIC_TOKEN: key });
    expect((await loadSettings(own, { url: 'http://evil.test' })).token?.origin).toBe('environment');
  });
});

describe('keys', () => {
  test('what is no API key is refused without showing it', () => {
    for (const wrong of [newBearer('join').token, newBearer('provider').token, 'hunter2', `${key}x`]) {
      try {
        checkToken(new Secret(wrong), 'COMPUTEFABRIC_TOKEN', 'cfab');
        expect.unreachable();
      } catch (thrown) {
        expect(thrown).toMatchObject({ exitCode: 4 });
        expect(JSON.stringify(thrown)).not.toContain(wrong);
      }
    }
    checkToken(new Secret(key), 'COMPUTEFABRIC_TOKEN', 'cfab');
  });
});

describe('the file', () => {
  test('is written for its owner alone and read back', async () => {
    await writeConfigFile(configFile, { url: 'http://a.test', token: key });
    expect((await stat(configFile)).mode & 0o777).toBe(0o600);
    expect((await stat(dirname(configFile))).mode & 0o777).toBe(0o700);
    expect(await readConfigFile(configFile)).toEqual({ url: 'http://a.test', token: key });
    expect(await isReadableByOthers(configFile)).toBe(false);
    await chmod(configFile, 0o644);
    expect(await isReadableByOthers(configFile)).toBe(true);
    await writeConfigFile(configFile, { url: 'http://b.test' });
    expect((await stat(configFile)).mode & 0o777).toBe(0o600);
    expect(await readFile(configFile, 'utf8')).not.toContain(key);
  });

  test('a setting that does not exist is named with the nearest one', async () => {
    await write('tokn = "x"\n');
    await expect(readConfigFile(configFile)).rejects.toMatchObject({
      exitCode: 2,
      facts: { help: ['a similar one exists: token'] },
    });
  });

  test('a broken file is named with the place, and the line, which may be a key, is not repeated', async () => {
    await write(`url = "http://a.test"\ntoken = "${key}\n`);
    const error: unknown = await readConfigFile(configFile).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: expect.stringContaining('line 2') });
    expect(JSON.stringify(error)).not.toContain(key);
    await write('url = 5\n');
    await expect(readConfigFile(configFile)).rejects.toMatchObject({ exitCode: 2 });
  });
});

test.each(['ftp://a.test', 'localhost:4000', 'http://user:pw@a.test', 'http://a.test/?x=1', ''])(
  '%j is no address',
  (text) => {
    expect(() => parseUrl(text, '--url')).toThrow('--url');
  },
);

test('colour wishes and the name of the program come from the environment', () => {
  expect(environment({ NO_COLOR: '1', FORCE_COLOR: '0', TERM: 'dumb' })).toMatchObject({
    colour: { refused: true, forced: false, dumb: true },
    program: 'cfab',
  });
  expect(environment({ CLICOLOR_FORCE: '1', npm_command: 'exec' })).toMatchObject({
    colour: { refused: false, forced: true },
    program: 'npx cfab',
  });
  expect(parseEnvironment({ XDG_CONFIG_HOME: 'relative', HOME: '/h' }).configFile).toBe(
    '/h/.config/computefabric/config.toml',
  );
});
