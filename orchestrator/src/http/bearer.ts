import {
  type BearerKind,
  hashSecret,
  type ParsedBearer,
  parseBearer,
  secretMatches,
} from '@computefabric/protocol/api-key';
import { AppError } from '@computefabric/runtime/errors';
import type { Request } from 'express';

/**
 * The bearer of a request, taken apart.
 *
 * @throws AppError `auth/missing` without one; null when it has not the form of its kind.
 */
export function bearerOf(request: Request, kind: BearerKind): ParsedBearer | null {
  const header = request.get('authorization');
  const token = header === undefined ? undefined : /^Bearer +(\S+)$/i.exec(header)?.[1];
  if (token === undefined) throw new AppError('auth/missing');
  const bearer = parseBearer(token);
  return bearer?.kind === kind ? bearer : null;
}

/** Compared with when there is no row, so that an unknown id takes the time of a wrong secret. */
const nobodysHash = hashSecret('');

/** Whether the secret is the row's; false without a row. Constant time in both cases. */
export function isSecretOf(bearer: ParsedBearer, storedHash: string | undefined): boolean {
  const matches = secretMatches(bearer.secret, storedHash ?? nobodysHash);
  return matches && storedHash !== undefined;
}

/** The secret part of the key with which an authenticated request came, to seal what only it may read again. */
export function callerSecret(request: Request): string {
  const bearer = bearerOf(request, 'user');
  if (!bearer) throw new AppError('auth/invalid');
  return bearer.secret;
}
