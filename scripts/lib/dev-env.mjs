import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * `dev.env`: what a terminal needs to use the local market (`source .computefabric/dev.env`). It
 * also is where the local operator's API key lives between starts, so it is readable by its owner
 * only.
 *
 * @param {string} path
 * @param {string} url Address of the orchestrator.
 * @returns {string} The API key: the one that was there, or a new one.
 */
export function writeDevEnv(path, url) {
  const token = readToken(path) ?? newApiKey();
  mkdirSync(dirname(path), { recursive: true });
  const unfinished = `${path}.tmp`;
  writeFileSync(
    unfinished,
    `# Written by npm start. Use it with: source ${path}\nexport COMPUTEFABRIC_URL=${url}\nexport COMPUTEFABRIC_TOKEN=${token}\n`,
    { mode: 0o600 },
  );
  chmodSync(unfinished, 0o600); // The mode above only counts for a file that is new.
  renameSync(unfinished, path);
  return token;
}

/** @param {string} path */
function readToken(path) {
  try {
    return /^export COMPUTEFABRIC_TOKEN=(cf_[0-9a-z]{26}_[\w-]{43})$/m.exec(readFileSync(path, 'utf8'))?.[1];
  } catch {
    return undefined; // First start.
  }
}

/**
 * A fresh API key of the form that `packages/protocol/src/api-key.ts` defines: `cf_<id>_<secret>`,
 * where the id is 26 characters (a UUIDv7 in Crockford's base 32) and the secret 256 random bits.
 * Made here as well because this runs before anything is bundled; a test holds the two together.
 */
export function newApiKey(now = Date.now()) {
  const id = randomBytes(16);
  id.writeUIntBE(now, 0, 6);
  id.writeUInt8((id.readUInt8(6) & 0x0f) | 0x70, 6);
  id.writeUInt8((id.readUInt8(8) & 0x3f) | 0x80, 8);
  return `cf_${crockford(id)}_${randomBytes(32).toString('base64url')}`;
}

/** 128 bits as 26 characters, the first of which holds only three bits. @param {Buffer} bytes */
function crockford(bytes) {
  let value = BigInt(`0x${bytes.toString('hex')}`);
  let text = '';
  for (let i = 0; i < 26; i++) {
    text = `${'0123456789abcdefghjkmnpqrstvwxyz'[Number(value & 31n)]}${text}`;
    value >>= 5n;
  }
  return text;
}
