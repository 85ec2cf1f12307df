import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { type HomeFiles, writeWhole } from './home.ts';

/**
 * Two accounts: the programs use an ordinary role that owns its database and nothing else, so that a hole in
 * their SQL cannot read files or run programs; the superuser is for the launcher.
 */
export interface Credentials {
  adminPassword: string;
  appPassword: string;
}

/** The credentials of a home, or null when it has none yet. @throws Error when they cannot be read. */
export function readCredentials(files: HomeFiles): Credentials | null {
  if (!existsSync(files.credentials)) return null;
  let text: string;
  try {
    text = readFileSync(files.credentials, 'utf8');
  } catch (cause) {
    throw new Error(
      `The password file ${files.credentials} belongs to another user. Run as that user or as root, ` +
        'use another COMPUTEFABRIC_HOME, or set DATABASE_URL.',
      { cause },
    );
  }
  const value: unknown = JSON.parse(text);
  if (
    typeof value !== 'object' ||
    value === null ||
    !('adminPassword' in value && typeof value.adminPassword === 'string') ||
    !('appPassword' in value && typeof value.appPassword === 'string')
  ) {
    throw new Error(`The password file ${files.credentials} is damaged`);
  }
  return { adminPassword: value.adminPassword, appPassword: value.appPassword };
}

/** Makes new random passwords and writes them down, readable by the owner of the home only. */
export function createCredentials(files: HomeFiles): Credentials {
  const credentials = {
    adminPassword: randomBytes(24).toString('hex'),
    appPassword: randomBytes(24).toString('hex'),
  };
  writeWhole(files.credentials, `${JSON.stringify(credentials)}\n`, 0o600);
  return credentials;
}
