import { randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Db } from '@computefabric/db/client';
import { endorsementText } from '@computefabric/runtime/receipts/seal-receipt';
import { newPrivateKey, type Signer, signerOf } from '@computefabric/runtime/receipts/signatures';
import type { Secret } from '@computefabric/runtime/secret';
import { publishKey } from './market-key.store.ts';

const keyFile = 'receipt-key.pem';
/** The key before, where the operator has put it: it vouches for the one in force. */
const oldKeyFile = 'receipt-key.old.pem';

/**
 * The key that receipts and metering are signed with, published. It is the one of the setting, else the one in the
 * home folder, which is made at the first start and readable by the program alone. To change it, the file is renamed
 * to `receipt-key.old.pem`: the new key is then published with the old one's signature, so that whoever has pinned
 * the old one can trust it.
 *
 * @throws Error saying which key cannot be read
 */
export async function openMarketKey(db: Db, home: string, given: Secret | null): Promise<Signer> {
  const inHome = given ? await readIfThere(join(home, keyFile)) : await readOrMake(home);
  const pem = given?.reveal() ?? inHome;
  const signer = readKey(pem ?? '', given ? 'RECEIPT_SIGNING_KEY' : join(home, keyFile));
  const before = (await readIfThere(join(home, oldKeyFile))) ?? (given ? inHome : null);
  const older = before === null ? null : readKey(before, join(home, oldKeyFile));
  const isEndorsed = older !== null && older.keyId !== signer.keyId;
  if (isEndorsed) await publishKey(db, { ...idOf(older), endorsedBy: null, endorsement: null });
  await publishKey(db, {
    ...idOf(signer),
    endorsedBy: isEndorsed ? older.keyId : null,
    endorsement: isEndorsed
      ? await older.sign(endorsementText({ key: signer.keyId, public_key: signer.publicKey }))
      : null,
  });
  return signer;
}

function idOf({ keyId, publicKey }: Signer): { id: string; publicKey: string } {
  return { id: keyId, publicKey };
}

function readKey(pem: string, where: string): Signer {
  try {
    return signerOf(pem.trim().replaceAll(String.raw`\n`, '\n'));
  } catch (thrown) {
    // Without the reason that OpenSSL gives: it may quote the key.
    throw new Error(`${where} holds no Ed25519 private key in PEM`, {
      cause: thrown instanceof Error ? thrown.name : undefined,
    });
  }
}

/** The key in the home folder; of two programs that start at once both get the same one. */
async function readOrMake(home: string): Promise<string> {
  const path = join(home, keyFile);
  const known = await readIfThere(path);
  if (known !== null) return known;
  await mkdir(home, { recursive: true });
  const aside = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  await writeFile(aside, newPrivateKey(), { mode: 0o600, flag: 'wx', flush: true });
  try {
    await link(aside, path); // whole or not at all, and never over another's
  } catch (thrown) {
    if (!isCode(thrown, 'EEXIST')) throw thrown;
  } finally {
    await rm(aside, { force: true });
  }
  return await readFile(path, 'utf8');
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (thrown) {
    if (isCode(thrown, 'ENOENT')) return null;
    throw thrown;
  }
}

function isCode(thrown: unknown, code: string): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === code;
}
