import type { Contract } from '@computefabric/protocol/contract';
import { type ErrorBody, errorBody } from '@computefabric/protocol/error-codes';
import { toError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import type { Secret } from '@computefabric/runtime/secret';
import type { z } from 'zod';
import { withEither } from '@computefabric/runtime/either-signal';

/** The orchestrator's answer was a refusal: an ordinary result that the caller has to handle. */
export class CallRefused extends Error {
  override readonly name = 'CallRefused';
  readonly status: number;
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(call: string, status: number, body: ErrorBody['error']) {
    super(`${call}: ${body.code}: ${body.message}${fieldsOf(body)}`);
    this.status = status;
    this.code = body.code;
    this.details = body.details ?? {};
  }
}

/**
 * There was no usable answer: no connection, none in time, a server error, or something that is not the
 * orchestrator. Whether the call had an effect is unknown; every call of ours may be made again.
 */
export class CallFailed extends Error {
  override readonly name = 'CallFailed';
  /** The address answered, and said that no orchestrator is there: a refused connection, a gateway without one. */
  readonly nobodyThere: boolean;

  constructor(message: string, options: ErrorOptions & { nobodyThere?: boolean } = {}) {
    super(message, options);
    this.nobodyThere = options.nobodyThere ?? false;
  }
}

/** What a gateway says when nothing is behind it. */
const gatewayStatuses = [502, 503, 504];

/** A part of the request that the contract demands, or that it does not know. */
type Part<Name extends string, Schema extends z.ZodType> = [Schema] extends [z.ZodUndefined]
  ? { [name in Name]?: never }
  : { [name in Name]: z.input<Schema> };

export type CallParts<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType> = Part<'params', P> &
  Part<'query', Q> &
  Part<'body', B>;

export interface CallOptions {
  /** Null for what is open to all. */
  bearer: Secret | null;
  /** Session and fence. */
  headers?: Record<string, string>;
  /** The body of a contract with raw bytes; a function gives a fresh stream for each try. */
  bytes?: CallBytes;
  /** Longest time until the whole answer is here, ms. */
  deadlineMs: number;
  signal?: AbortSignal;
}
export type CallBytes = Uint8Array<ArrayBuffer> | (() => ReadableStream<Uint8Array>);

/** The longest reply of any call is an offer list, far below this. */
const replyLimitBytes = 8_388_608;

/** Calls the orchestrator as the route contracts say. One try per call; who calls decides about another. */
export class ControlPlaneClient {
  readonly baseUrl: string;

  /** @param baseUrl without a slash at its end */
  constructor(baseUrl: string) {
    this.baseUrl = baseUrl;
  }

  /**
   * @throws CallRefused when the orchestrator says no
   * @throws CallFailed when it is unknown what it says
   */
  async call<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
    contract: Contract<P, Q, B, R>,
    parts: CallParts<P, Q, B>,
    options: CallOptions,
  ): Promise<z.output<R>> {
    const { status, bytes } = await this.#exchange(contract, parts, options);
    return readReply(contract, status, bytes.toString('utf8'));
  }

  /** The same for a contract that answers with raw bytes: gives them all, at most 8 MiB. */
  async download<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType>(
    contract: Contract<P, Q, B>,
    parts: CallParts<P, Q, B>,
    options: CallOptions,
  ): Promise<Buffer> {
    const { status, bytes } = await this.#exchange(contract, parts, options);
    if (status === contract.status) return bytes;
    throwRefusal(contract, status, bytes.toString('utf8'));
  }

  async #exchange<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, R extends z.ZodType>(
    contract: Contract<P, Q, B, R>,
    parts: CallParts<P, Q, B>,
    options: CallOptions,
  ): Promise<{ status: number; bytes: Buffer }> {
    const address = this.#address(contract, parts.params, parts.query);
    const deadline = AbortSignal.timeout(Math.ceil(options.deadlineMs));
    return await withEither(options.signal ? [deadline, options.signal] : [deadline], async (signal) => {
      try {
        const response = await fetch(address, {
          method: contract.method,
          headers: {
            ...(options.bearer ? { authorization: `Bearer ${options.bearer.reveal()}` } : {}),
            'content-type': contract.binaryBody ?? 'application/json',
            ...options.headers,
          },
          ...bodyOf(contract, parts.body, options.bytes),
          // A redirect would carry the credential to somewhere that the owner has not named.
          redirect: 'error',
          signal,
        });
        return { status: response.status, bytes: await readLimited(response) };
      } catch (thrown) {
        throw new CallFailed(`${contract.id}: ${rootMessage(thrown)}`, {
          cause: thrown,
          nobodyThere: isConnectionRefused(thrown),
        });
      }
    });
  }

  #address(contract: Contract, params: unknown, query: unknown): string {
    const values = Object.entries(params ?? {});
    const path = contract.path.replace(/\{(\w+)\}/g, (_whole, name: string) => {
      const value = values.find(([key]) => key === name)?.[1];
      invariant(typeof value === 'string', `${contract.id} needs the parameter ${name}`);
      return encodeURIComponent(value);
    });
    const search = new URLSearchParams(
      Object.entries(query ?? {}).map(([key, value]): [string, string] => [key, String(value)]),
    );
    return `${this.baseUrl}${path}${search.size > 0 ? `?${search.toString()}` : ''}`;
  }
}

function bodyOf(contract: Contract, body: unknown, bytes: CallBytes | undefined): RequestInit {
  if (contract.method === 'GET') return {};
  if (!contract.binaryBody) return { body: JSON.stringify(body ?? {}) };
  invariant(bytes, `${contract.id} needs bytes`);
  return typeof bytes === 'function' ? { body: bytes(), duplex: 'half' } : { body: bytes };
}

function readReply<R extends z.ZodType>(
  contract: Contract<z.ZodType, z.ZodType, z.ZodType, R>,
  status: number,
  text: string,
): z.output<R> {
  if (status !== contract.status) throwRefusal(contract, status, text);
  const json = parseJson(text);
  invariant(contract.reply, `${contract.id} has a reply`);
  const reply = contract.reply.safeParse(json);
  if (!reply.success) throw new CallFailed(`${contract.id}: unreadable answer`, { cause: reply.error });
  return reply.data;
}

/** What an answer that is not the one hoped for means. */
function throwRefusal(contract: Pick<Contract, 'id'>, status: number, text: string): never {
  if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
    const refusal = errorBody.safeParse(parseJson(text));
    if (refusal.success) throw new CallRefused(contract.id, status, refusal.data.error);
  }
  throw new CallFailed(`${contract.id}: answer ${status}: ${text.slice(0, 200)}`, {
    nobodyThere: gatewayStatuses.includes(status),
  });
}

async function readLimited(response: Response): Promise<Buffer> {
  if (!response.body) return Buffer.alloc(0);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body) {
    bytes += part.byteLength;
    if (bytes > replyLimitBytes) throw new Error('the answer is too long');
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not JSON: no schema accepts undefined, so the caller reports it.
  }
}

function isConnectionRefused(thrown: unknown): boolean {
  const error = toError(thrown);
  if ('code' in error && error.code === 'ECONNREFUSED') return true;
  // Every address of the name was tried, and each refused.
  if (error instanceof AggregateError)
    return error.errors.length > 0 && error.errors.every(isConnectionRefused);
  return error.cause !== undefined && isConnectionRefused(error.cause);
}

/** `fetch failed` says nothing; its cause does. */
function rootMessage(thrown: unknown): string {
  const error = toError(thrown);
  return error.cause === undefined ? error.message || error.name : rootMessage(error.cause);
}

function fieldsOf(body: ErrorBody['error']): string {
  return (body.fields ?? []).map((field) => ` ${field.path}: ${field.message}`).join('');
}
