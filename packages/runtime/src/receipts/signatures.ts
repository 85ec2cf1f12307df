import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto';

/** Signs texts with an Ed25519 key. */
export interface Signer {
  keyId: string;
  /** DER (SPKI) in base64. */
  publicKey: string;
  /** 64 bytes in base64. Computed beside the event loop. */
  sign(text: string): Promise<string>;
}

/** A new private key, PEM (PKCS #8). */
export function newPrivateKey(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** @throws Error when the text is no Ed25519 key in PEM */
export function signerOf(privateKeyPem: string): Signer {
  const key = createPrivateKey(privateKeyPem);
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('the key is no Ed25519 key');
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' }).toString('base64');
  return {
    keyId: keyIdOf(publicKey),
    publicKey,
    sign: (text) =>
      new Promise((resolve, reject) => {
        sign(null, Buffer.from(text), key, (error, bytes) => {
          if (error) reject(error);
          else resolve(bytes.toString('base64'));
        });
      }),
  };
}

/** The name of a public key: the beginning of its SHA-256. */
export function keyIdOf(publicKey: string): string {
  return `ed25519-${createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('hex').slice(0, 16)}`;
}

/** Whether this key signed this text. Of the many base64 texts of the same bytes only the usual one counts. */
export function isSignedBy(publicKey: string, text: string, signature: string): boolean {
  const bytes = Buffer.from(signature, 'base64');
  if (bytes.toString('base64') !== signature) return false;
  const key = readPublicKey(publicKey);
  return key !== null && verify(null, Buffer.from(text), key, bytes);
}

/** SHA-256 of a text, hex. */
export function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function readPublicKey(publicKey: string): KeyObject | null {
  try {
    const der = Buffer.from(publicKey, 'base64');
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' });
    return key.asymmetricKeyType === 'ed25519' ? key : null;
  } catch {
    return null; // Not a key: nothing is signed by it.
  }
}
