import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { typeidUnboxed } from 'typeid-js';

/**
 * Bearer secrets, all of one form: `<prefix>_<26 characters of id>_<43 characters of secret>`.
 * The id part is public (it finds the row); the secret is 256 random bits of which only the SHA-256 is
 * stored. A fast hash is right here: the secret cannot be guessed, so there is nothing to slow down.
 */
export const bearerPrefixes = {
  /** A person's or program's API key. */
  user: 'cf',
  /** A machine's credential. */
  provider: 'cfp',
  /** A one-use token with which a machine joins. */
  join: 'cfj',
} as const;

export type BearerKind = keyof typeof bearerPrefixes;

export interface ParsedBearer {
  kind: BearerKind;
  /** The 26-character suffix of the row's id: `key_<idSuffix>` or `prov_<idSuffix>`. */
  idSuffix: string;
  secret: string;
}

const form = /^(cf|cfp|cfj)_([0-7][0-9a-hjkmnp-tv-z]{25})_([A-Za-z0-9_-]{43})$/;

/** Takes a bearer apart; null when it has not the exact form, whatever is wrong with it. */
export function parseBearer(token: string): ParsedBearer | null {
  const match = form.exec(token);
  if (!match?.[2] || !match[3]) return null;
  const kind = (Object.keys(bearerPrefixes) as BearerKind[]).find((key) => bearerPrefixes[key] === match[1]);
  return kind ? { kind, idSuffix: match[2], secret: match[3] } : null;
}

/** The bearer of a row and its secret. */
export function bearerToken(kind: BearerKind, idSuffix: string, secret: string): string {
  return `${bearerPrefixes[kind]}_${idSuffix}_${secret}`;
}

/** 256 random bits in the form that a bearer carries. */
export function newSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** A fresh bearer. Give `idSuffix` when the row that it belongs to has its id already. */
export function newBearer(kind: BearerKind, idSuffix = typeidUnboxed('key').slice('key_'.length)) {
  const secret = newSecret();
  return { token: bearerToken(kind, idSuffix, secret), idSuffix, secretHash: hashSecret(secret) };
}

/** SHA-256 of the secret part, in hex: what the database keeps. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** Compares a presented secret with a stored hash in constant time. */
export function secretMatches(secret: string, storedHash: string): boolean {
  const presented = Buffer.from(hashSecret(secret), 'hex');
  const stored = Buffer.from(storedHash, 'hex');
  return presented.length === stored.length && timingSafeEqual(presented, stored);
}
