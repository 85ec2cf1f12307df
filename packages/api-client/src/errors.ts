import { errorBody } from '@computefabric/protocol/error-codes';
import type { z } from 'zod';

type ErrorFacts = z.infer<typeof errorBody>['error'];

/** The server understood the request and refused it. `code` is one of the catalogue in protocol/error-codes. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly status: number;
  /** A string, not the catalogue's type: a newer server may know codes that this client does not. */
  readonly code: string;
  readonly fields: ErrorFacts['fields'];
  readonly details: ErrorFacts['details'];
  readonly retry: ErrorFacts['retry'];
  readonly requestId: string | null;
  /** What the server asked to wait before another try, ms; null when it did not say. */
  readonly retryAfterMs: number | null;

  constructor(status: number, facts: ErrorFacts, retryAfterMs: number | null = null) {
    super(facts.message);
    this.status = status;
    this.code = facts.code;
    this.fields = facts.fields;
    this.details = facts.details;
    this.retry = facts.retry;
    this.requestId = facts.request_id;
    this.retryAfterMs = retryAfterMs;
  }
}

/** No answer: the name is unknown, the connection was refused or broke, or the deadline passed. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
  readonly url: string;
  /** Such as ECONNREFUSED or ENOTFOUND; TIMEOUT when a deadline of ours passed. */
  readonly code: string;

  constructor(url: string, code: string, reason: string, options?: ErrorOptions) {
    super(`${url} ${reason}`, options);
    this.url = url;
    this.code = code;
  }

  /** The request never left: the server cannot have acted on it. False also means "not known". */
  get nothingSent(): boolean {
    return neverConnected.has(this.code) || isLasting(this);
  }
}

const neverConnected = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/** An answer came, but not one that this version of the client understands. */
export class UnexpectedReplyError extends Error {
  override readonly name = 'UnexpectedReplyError';
  readonly url: string;
  readonly status: number;

  constructor(url: string, status: number, what: string, options?: ErrorOptions) {
    super(`${url} ${what}`, options);
    this.url = url;
    this.status = status;
  }
}

/** The bytes of a download are not those that the server announced. */
export class HashMismatchError extends Error {
  override readonly name = 'HashMismatchError';
}

/** Reads a refusal; a body that is not ours (a proxy's page, say) is an UnexpectedReplyError. */
export async function refusalOf(response: Response, url: string): Promise<ApiError | UnexpectedReplyError> {
  const text = await response.text();
  const parsed = errorBody.safeParse(parseJson(text));
  if (parsed.success) {
    return new ApiError(response.status, parsed.data.error, retryAfterMs(response.headers, Date.now()));
  }
  const location = response.headers.get('location');
  if (location !== null && response.status >= 300 && response.status < 400) {
    return new UnexpectedReplyError(
      url,
      response.status,
      `redirects to ${location}; use that address instead`,
    );
  }
  return new UnexpectedReplyError(
    url,
    response.status,
    `answered ${response.status} without an error of ours`,
  );
}

/** Whatever fetch or a body reader threw, as an UnreachableError that names the address. */
export function unreachable(url: string, thrown: unknown): UnreachableError {
  const code = systemCode(thrown);
  return new UnreachableError(url, code, reasons[code] ?? `could not be reached (${code})`, {
    cause: thrown,
  });
}

const reasons: Record<string, string> = {
  ECONNREFUSED: 'refused the connection',
  ENOTFOUND: 'has a host name that could not be found',
  EAI_AGAIN: 'has a host name that could not be looked up now',
  ECONNRESET: 'closed the connection',
  UND_ERR_SOCKET: 'closed the connection',
  EPIPE: 'closed the connection',
  ETIMEDOUT: 'did not answer',
  UND_ERR_CONNECT_TIMEOUT: 'did not answer',
  EHOSTUNREACH: 'cannot be reached from this network',
  ENETUNREACH: 'cannot be reached from this network',
  CERT_HAS_EXPIRED: 'has an expired certificate',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'has a certificate that this machine does not trust',
  SELF_SIGNED_CERT_IN_CHAIN: 'has a certificate that this machine does not trust',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'has a certificate that this machine does not trust',
  ERR_TLS_CERT_ALTNAME_INVALID: 'has a certificate for another name',
};

/** A name or a certificate that is wrong now is still wrong in a second. */
export function isLasting(error: UnreachableError): boolean {
  return error.code === 'ENOTFOUND' || (reasons[error.code]?.includes('certificate') ?? false);
}

/** The innermost system error code: fetch wraps it as a cause, and several addresses as an AggregateError. */
function systemCode(thrown: unknown): string {
  let code = 'NETWORK';
  for (let error = thrown, depth = 0; error instanceof Error && depth < 5; depth += 1) {
    if ('code' in error && typeof error.code === 'string') code = error.code;
    error = error instanceof AggregateError ? error.errors[0] : error.cause;
  }
  return code;
}

/** `Retry-After` as milliseconds from now: it is either whole seconds or a date. */
function retryAfterMs(headers: Headers, nowMs: number): number | null {
  const value = headers.get('retry-after');
  if (value === null) return null;
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

/** The value of a JSON text, or undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not JSON: the caller's schema refuses undefined and says so.
  }
}
