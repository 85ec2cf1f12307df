import { parseBearer } from '@computefabric/protocol/api-key';
import { Secret } from '@computefabric/runtime/secret';
import { CliError } from '../errors/cli-error.ts';
import { loginHelp } from '../errors/describe-error.ts';
import { readConfigFile } from './config-file.ts';
import type { Environment } from './environment.ts';

export type Origin = 'flag' | 'environment' | 'file' | 'default';

/** A setting and where it came from. */
export interface Setting<T> {
  value: T;
  origin: Origin;
}

export interface Settings {
  url: Setting<string>;
  /** Null when there is none, or when the stored one is for another server. */
  token: Setting<Secret> | null;
  configFile: string;
  /** The file holds a key, but for this other address. */
  keyIsFor: string | null;
}

export const defaultUrl = 'http://127.0.0.1:4000';

/** Flags over environment over the user's file over the default. */
export async function loadSettings(
  environment: Environment,
  flags: { url?: string | undefined },
): Promise<Settings> {
  const file = await readConfigFile(environment.configFile);
  const url: Setting<string> =
    flags.url !== undefined
      ? { value: parseUrl(flags.url, '--url'), origin: 'flag' }
      : environment.url !== undefined
        ? { value: parseUrl(environment.url, 'COMPUTEFABRIC_URL'), origin: 'environment' }
        : file.url !== undefined
          ? { value: parseUrl(file.url, environment.configFile), origin: 'file' }
          : { value: defaultUrl, origin: 'default' };
  const { configFile } = environment;
  if (environment.token !== undefined) {
    const token: Setting<Secret> = { value: new Secret(environment.token.trim()), origin: 'environment' };
    return { url, token, configFile, keyIsFor: null };
  }
  if (file.token === undefined) return { url, token: null, configFile, keyIsFor: null };
  // A stored key belongs to the address that is stored with it; another server must not get to see it.
  const home = parseUrl(file.url ?? defaultUrl, environment.configFile);
  if (home !== url.value) return { url, token: null, configFile, keyIsFor: home };
  return { url, token: { value: new Secret(file.token), origin: 'file' }, configFile, keyIsFor: null };
}

/**
 * The API key to use.
 *
 * @throws CliError auth/missing or auth/invalid that says how to log in and never shows the key.
 */
export function requireToken(settings: Settings, program: string): Secret {
  if (!settings.token) {
    throw new CliError({
      code: 'auth/missing',
      message: `not logged in to ${settings.url.value}`,
      facts: settings.keyIsFor ? [['stored key', `is for ${settings.keyIsFor}`]] : [],
      help: loginHelp(program),
      exit: 'notLoggedIn',
    });
  }
  const source = settings.token.origin === 'environment' ? 'COMPUTEFABRIC_TOKEN' : settings.configFile;
  checkToken(settings.token.value, source, program);
  return settings.token.value;
}

/** Refuses what cannot be an API key before it is sent anywhere. */
export function checkToken(token: Secret, source: string, program: string): void {
  const kind = parseBearer(token.reveal())?.kind;
  if (kind === 'user') return;
  const what = kind === 'join' ? 'is a join token for a machine' : 'has not the form of one';
  throw new CliError({
    code: 'auth/invalid',
    message: `the API key of ${source} cannot be used`,
    facts: [
      ['it', kind === 'provider' ? 'is the credential of a machine' : what],
      ['asked for', 'an API key of a person, which begins with cf_'],
    ],
    help: loginHelp(program),
    exit: 'notLoggedIn',
  });
}

/** An address as it is stored and compared: no slash at its end. @throws CliError naming where it came from. */
export function parseUrl(text: string, source: string): string {
  let url: URL | null;
  try {
    url = new URL(text);
  } catch {
    url = null; // Said below, together with the other ways in which it can be wrong.
  }
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.password || url.search || url.hash) {
    throw new CliError({
      code: 'cli/usage',
      message: `${source} must be an http or https address, without user name or query`,
      help: [`such as ${defaultUrl}`],
      exit: 'usage',
    });
  }
  return url.href.replace(/\/+$/, '');
}
