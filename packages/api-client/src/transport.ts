import { randomUUID } from 'node:crypto';
import type { Contract } from '@computefabric/protocol/contract';
import { backoffMs } from '@computefabric/runtime/backoff';
import { pause } from '@computefabric/runtime/wait';
import type { z } from 'zod';
import {
  ApiError,
  isLasting,
  parseJson,
  refusalOf,
  UnexpectedReplyError,
  UnreachableError,
  unreachable,
} from './errors.ts';
import { parseReply } from './parse-reply.ts';
import { requestUrl } from './request-url.ts';

export interface RetryPolicy {
  /** Tries after the first one. */
  retries: number;
  /** First delay, ms; doubles each time. */
  baseMs: number;
  /** Longest delay, ms. A server that asks for more than this is not waited for: the caller learns of it. */
  maxMs: number;
}

export interface TransportOptions {
  /** Such as `http://127.0.0.1:4000`; a path in it is kept. */
  baseUrl: string;
  /** API key, or how to get it when it is needed. */
  token?: string | (() => string | undefined) | undefined;
  userAgent?: string | undefined;
  fetch?: typeof globalThis.fetch | undefined;
  /** Longest time for one try of a call, answer included, ms. */
  deadlineMs?: number | undefined;
  /**
   * A stream without a byte for this long is dead, ms. The server sends a comment each 15 s, so that 45 s
   * means three in a row are missing.
   */
  silenceMs?: number | undefined;
  retry?: Partial<RetryPolicy> | undefined;
  /** Told of every try, for `--debug`. Never given a header or a body. */
  onExchange?: ((exchange: Exchange) => void) | undefined;
}

export interface Exchange {
  method: string;
  url: string;
  /** Status of the answer, or what went wrong. */
  outcome: string;
  durationMs: number;
}

/** What a caller gives for a contract: only the parts that it has, and optional where all of it is. */
export type CallInput<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = PartOf<
  'params',
  z.input<P>
> &
  PartOf<'query', QueryValues<z.output<Q>>> &
  PartOf<'body', z.input<B>> &
  CallOptions;

export interface CallOptions {
  /** For contracts that need one; made here when absent. Give it to repeat a call of an earlier process. */
  idempotencyKey?: string | undefined;
  /** Headers of the contract's own. */
  headers?: Record<string, string> | undefined;
  signal?: AbortSignal | undefined;
  /** Told of each try that failed, also of those that are repeated. */
  onTryFailed?: ((error: unknown) => void) | undefined;
}

type PartOf<K extends string, T> = [T] extends [undefined]
  ? { [key in K]?: undefined }
  : Record<never, never> extends T
    ? { [key in K]?: T | undefined }
    : { [key in K]: T };
/** Query parameters by their meaning: numbers are numbers, lists are lists; nothing is required. */
type QueryValues<O> = O extends object ? { [K in keyof O]?: O[K] | undefined } : undefined;

interface Parts {
  params?: unknown;
  query?: unknown;
  body?: unknown;
}

/** An answer whose body is read bit by bit. */
export interface OpenStream {
  url: string;
  response: Response;
  /** The body's bytes. @throws UnreachableError when it breaks or falls silent. */
  chunks: AsyncGenerator<Uint8Array, void, undefined>;
}

/** Sends requests as their contracts say. One per server and key. */
export class Transport {
  readonly retry: RetryPolicy;
  readonly #options: TransportOptions;
  readonly #baseUrl: URL;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#baseUrl = new URL(options.baseUrl);
    if (!/^https?:$/.test(this.#baseUrl.protocol))
      throw new TypeError('baseUrl must be an http or https address');
    this.retry = { retries: 3, baseMs: 250, maxMs: 4_000, ...options.retry };
  }

  /**
   * Calls a route and gives its parsed reply. Tries again by itself only what is safe to repeat: a GET, or
   * a call with an Idempotency-Key.
   */
  async call<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
    contract: Contract<P, Q, B, R>,
    input: CallInput<P, Q, B>,
  ): Promise<z.output<R>> {
    const { signal } = input;
    const idempotencyKey = contract.idempotent ? (input.idempotencyKey ?? randomUUID()) : undefined;
    const repeatable = contract.method === 'GET' || idempotencyKey !== undefined;
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#callOnce(contract, input, idempotencyKey);
      } catch (thrown) {
        input.onTryFailed?.(thrown);
        if (!repeatable || attempt >= this.retry.retries || !isPassing(thrown)) throw thrown;
        const asked = thrown instanceof ApiError ? thrown.retryAfterMs : null;
        if (asked !== null && asked > this.retry.maxMs) throw thrown;
        await pause(Math.max(asked ?? 0, backoffMs(attempt, this.retry)), signal);
        signal?.throwIfAborted();
      }
    }
  }

  /** Opens a contract with a streamed answer: the deadline is for its head, then silence counts. One try. */
  async open(
    contract: Contract<z.ZodType, z.ZodType, z.ZodType, z.ZodType>,
    input: Parts & { headers?: Record<string, string>; signal?: AbortSignal | undefined },
  ): Promise<OpenStream> {
    const url = requestUrl(this.#baseUrl, contract.path, input);
    const connection = new AbortController();
    const { deadlineMs = 30_000, silenceMs = 45_000 } = this.#options;
    const late = setTimeout(() => connection.abort(timeoutAfter(url, deadlineMs)), deadlineMs);
    try {
      const headers = { accept: contract.stream ?? 'application/json', ...input.headers };
      const response = await this.#send(contract, url, headers, undefined, connection, input.signal);
      return { url, response, chunks: readChunks(response, url, silenceMs, connection, input.signal) };
    } finally {
      clearTimeout(late);
    }
  }

  async #callOnce<R extends z.ZodType>(
    contract: Contract<z.ZodType, z.ZodType, z.ZodType, R>,
    input: Parts & { headers?: Record<string, string> | undefined; signal?: AbortSignal | undefined },
    idempotencyKey: string | undefined,
  ): Promise<z.output<R>> {
    const url = requestUrl(this.#baseUrl, contract.path, input);
    const connection = new AbortController();
    const { deadlineMs = 30_000 } = this.#options;
    const late = setTimeout(() => connection.abort(timeoutAfter(url, deadlineMs)), deadlineMs);
    try {
      const headers: Record<string, string> = { ...input.headers, accept: 'application/json' };
      if (idempotencyKey !== undefined) headers['idempotency-key'] = idempotencyKey;
      const body = input.body === undefined ? undefined : JSON.stringify(input.body);
      if (body !== undefined) headers['content-type'] = 'application/json';
      const response = await this.#send(contract, url, headers, body, connection, input.signal);
      const text = await guard(() => response.text(), url, connection.signal, input.signal);
      return parseReply(contract.reply, contract.reply ? parseJson(text) : undefined, url, response.status);
    } finally {
      clearTimeout(late);
    }
  }

  /** One request up to the head of its answer. @throws the refusal when it is not a success. */
  async #send(
    contract: Contract,
    url: string,
    headers: Record<string, string>,
    body: string | undefined,
    connection: AbortController,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    const { token, userAgent = 'computefabric-api-client', onExchange } = this.#options;
    const bearer = contract.audience === 'public' ? undefined : typeof token === 'function' ? token() : token;
    const startedAt = performance.now();
    const tell = (outcome: string) =>
      onExchange?.({ method: contract.method, url, outcome, durationMs: performance.now() - startedAt });
    const either = signal ? AbortSignal.any([connection.signal, signal]) : connection.signal;
    try {
      const response = await guard(
        () =>
          (this.#options.fetch ?? globalThis.fetch)(url, {
            method: contract.method,
            headers: {
              ...headers,
              'user-agent': userAgent,
              ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
            },
            ...(body === undefined ? {} : { body }),
            // A redirect would turn a POST into a GET and drop the bearer: say where it points instead.
            redirect: 'manual',
            signal: either,
          }),
        url,
        connection.signal,
        signal,
      );
      tell(String(response.status));
      if (!response.ok) throw await guard(() => refusalOf(response, url), url, connection.signal, signal);
      return response;
    } catch (thrown) {
      if (thrown instanceof UnreachableError) tell(thrown.code);
      throw thrown;
    }
  }
}

/** Worth another try of the same request: nothing came back, or the server says that it is passing. */
export function isPassing(thrown: unknown): boolean {
  if (thrown instanceof UnreachableError) return !isLasting(thrown);
  const status = thrown instanceof ApiError || thrown instanceof UnexpectedReplyError ? thrown.status : 0;
  return [429, 502, 503, 504].includes(status);
}

/** Runs network work and turns what it throws into the caller's abort, our deadline, or an UnreachableError. */
async function guard<T>(
  work: () => Promise<T>,
  url: string,
  connection: AbortSignal,
  signal: AbortSignal | undefined,
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    if (signal?.aborted) throw signal.reason;
    if (connection.aborted) throw connection.reason;
    throw unreachable(url, thrown);
  }
}

async function* readChunks(
  response: Response,
  url: string,
  silenceMs: number,
  connection: AbortController,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (!response.body) throw new UnexpectedReplyError(url, response.status, 'answered without a body');
  const reader = response.body.getReader();
  try {
    while (true) {
      const silent = setTimeout(() => connection.abort(timeoutAfter(url, silenceMs)), silenceMs);
      const part = await guard(() => reader.read(), url, connection.signal, signal).finally(() =>
        clearTimeout(silent),
      );
      if (part.done) return;
      yield part.value;
    }
  } finally {
    // Also when the reader walks away in the middle: the socket must not stay open behind it.
    connection.abort();
  }
}

function timeoutAfter(url: string, ms: number): UnreachableError {
  return new UnreachableError(url, 'TIMEOUT', `did not answer within ${Math.round(ms / 100) / 10} s`);
}
