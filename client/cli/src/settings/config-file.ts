import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parse, stringify, TomlError } from 'smol-toml';
import { CliError } from '../errors/cli-error.ts';
import { nearest } from '@computefabric/protocol/grammar/similar';

/** What the configuration file may hold. */
export interface ConfigFile {
  url?: string;
  token?: string;
}

const keys = ['url', 'token'] as const;

/**
 * The user's configuration file; empty when there is none.
 *
 * @throws CliError naming file, line and what is wrong.
 */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return {};
    throw thrown;
  }
  const table = parseToml(text, path);
  const config: ConfigFile = {};
  for (const [name, value] of Object.entries(table)) {
    const key = keys.find((known) => known === name);
    if (!key) {
      const similar = nearest(name, keys);
      throw invalid(
        path,
        `there is no setting "${name}"`,
        similar ? [`a similar one exists: ${similar}`] : [],
      );
    }
    if (typeof value !== 'string' || value === '') throw invalid(path, `${key} must be a text in quotes`);
    config[key] = value;
  }
  return config;
}

/** True when other users of the machine may read the file. */
export async function isReadableByOthers(path: string): Promise<boolean> {
  if (process.platform === 'win32') return false;
  return ((await stat(path)).mode & 0o077) !== 0;
}

/** Writes the file for its owner alone; it appears whole or not at all. */
export async function writeConfigFile(path: string, config: ConfigFile): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const unfinished = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    await writeFile(unfinished, `${stringify(config)}\n`, { mode: 0o600, flag: 'wx' });
    await chmod(unfinished, 0o600); // whatever the umask took away or left
    await rename(unfinished, path);
  } catch (thrown) {
    await rm(unfinished, { force: true });
    throw thrown;
  }
}

function parseToml(text: string, path: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    // Only the place: the message of the parser quotes the line, which may hold the key.
    throw invalid(path, `line ${thrown.line}, column ${thrown.column} is not valid TOML`);
  }
}

function invalid(path: string, what: string, help: string[] = []): CliError {
  return new CliError({ code: 'cli/config', message: `${path}: ${what}`, help, exit: 'usage' });
}
