import type { z } from 'zod';
import type { ErrorCode } from './error-codes.ts';

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
/** Whose bearer a route takes: a person's key, a machine's credential, a join token, or none. */
export type Audience = 'user' | 'provider' | 'join' | 'public';

/**
 * What a route promises, as a value: the Express route parses with it, the client types itself by it, the
 * OpenAPI document is generated from it and the tests walk over it.
 */
export interface Contract<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Reply extends z.ZodType = z.ZodType,
  Headers extends z.ZodObject = z.ZodObject,
  For extends Audience = Audience,
> {
  /** Stable name, also the OpenAPI operationId. */
  id: string;
  method: Method;
  /** Path with parameters in braces: `/v1/jobs/{job}`. */
  path: string;
  summary: string;
  audience: For;
  params?: Params;
  query?: Query;
  body?: Body;
  /** The body is these raw bytes instead of JSON. */
  binaryBody?: 'application/octet-stream';
  /** Request headers beside the common ones, lower case. */
  headers?: Headers;
  reply?: Reply;
  /** The answer is not JSON. */
  stream?: 'text/event-stream' | 'application/octet-stream';
  /** Success status. */
  status: 200 | 201 | 204;
  /** Needs an Idempotency-Key; a repeat gives the first answer again. */
  idempotent?: true;
  errors: readonly ErrorCode[];
}

export function defineContract<
  Params extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
  Body extends z.ZodType = z.ZodUndefined,
  Reply extends z.ZodType = z.ZodUndefined,
  Headers extends z.ZodObject = z.ZodObject,
  For extends Audience = Audience,
>(
  contract: Contract<Params, Query, Body, Reply, Headers, For>,
): Contract<Params, Query, Body, Reply, Headers, For> {
  return contract;
}

/** Refusals that any route of an audience can give; listed here once instead of in each contract. */
export const commonErrors: Record<Audience, readonly ErrorCode[]> = {
  public: ['request/invalid', 'server/internal', 'server/busy'],
  user: ['request/invalid', 'auth/missing', 'auth/invalid', 'server/internal', 'server/busy'],
  provider: ['request/invalid', 'auth/missing', 'auth/invalid', 'server/internal', 'server/busy'],
  join: ['request/invalid', 'auth/missing', 'join-token/invalid', 'server/internal', 'server/busy'],
};
