import type { Audience, Contract } from '@computefabric/protocol/contract';
import { AppError } from '@computefabric/runtime/errors';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Authenticators, Callers } from './callers.ts';
import { parsePart } from './parse-part.ts';
import { discardRest, readJson } from './read-json.ts';

/** What a handler gets: everything parsed by the route's contract. Parts that the contract lacks are undefined. */
export interface RouteInput<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Headers extends z.ZodObject,
  For extends Audience,
> {
  params: z.output<Params>;
  query: z.output<Query>;
  /** Undefined where the contract takes raw bytes: those are read from `request`, which nothing has buffered. */
  body: z.output<Body>;
  headers: z.output<Headers>;
  caller: Callers[For];
  /** The checked Idempotency-Key; empty where the contract asks for none. */
  idempotencyKey: string;
  request: Request;
  /** For contracts with `stream`, whose handlers answer by themselves. */
  response: Response;
  /** Aborts when the client has gone away (or everything was sent). */
  signal: AbortSignal;
}

/** What a handler returns: the reply before encoding, or nothing where the contract has no JSON reply. */
// biome-ignore lint/suspicious/noConfusingVoidType: an async handler without a return has type Promise<void>.
type ReplyOf<Reply extends z.ZodType> = Reply extends z.ZodUndefined ? void : z.input<Reply>;

export interface RouteContext {
  authenticators: Authenticators;
  /** Replies are held against their contract before they are sent: everywhere but in production. */
  checkReplies: boolean;
}

/** A contract with the code that keeps it. */
export interface BoundRoute {
  contract: Contract;
  /** Answers one request, or throws what the error handler translates. */
  answer(context: RouteContext, request: Request, response: Response): Promise<void>;
}

/**
 * Ties a handler to its contract. In this order: who is asking, then whether the request is well-formed, then
 * the handler; so that nobody without a key can make us read a body.
 */
export function route<
  Params extends z.ZodType,
  Query extends z.ZodType,
  Body extends z.ZodType,
  Reply extends z.ZodType,
  Headers extends z.ZodObject,
  For extends Audience,
>(
  contract: Contract<Params, Query, Body, Reply, Headers, For>,
  handler: (input: RouteInput<Params, Query, Body, Headers, For>) => Promise<ReplyOf<Reply>>,
): BoundRoute {
  return {
    contract,
    async answer(context, request, response) {
      const authenticate: Authenticators[For] = context.authenticators[contract.audience];
      const caller = await authenticate(request);
      const reply = await handler({
        params: parsePart(contract.params, 'path', request.params),
        query: parsePart(contract.query, 'query', request.query),
        headers: parsePart(contract.headers, 'header', request.headers),
        idempotencyKey: contract.idempotent ? idempotencyKeyOf(request) : '',
        body: parsePart(contract.body, 'body', contract.body ? await readJson(request) : undefined),
        caller,
        request,
        response,
        get signal() {
          return goneSignal(response);
        },
      });
      if (contract.stream) return;
      response.status(contract.status);
      discardRest(request);
      if (!contract.reply) response.end();
      else response.json(context.checkReplies ? contract.reply.parse(reply) : reply);
    },
  };
}

/** Made for those who ask for it: most requests are answered long before anybody could go away. */
function goneSignal(response: Response): AbortSignal {
  const gone = new AbortController();
  if (response.closed) gone.abort();
  else response.once('close', () => gone.abort());
  return gone.signal;
}

/** 1 to 128 visible ASCII characters. */
const idempotencyKeyForm = /^[\x21-\x7e]{1,128}$/;

function idempotencyKeyOf(request: Request): string {
  const key = request.get('idempotency-key');
  if (key === undefined || !idempotencyKeyForm.test(key))
    throw new AppError('request/idempotency-key-missing');
  return key;
}
