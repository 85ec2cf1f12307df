import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { checkoutEndpoints } from './checkout.ts';
import { connectEndpoints } from './connect.ts';
import { control } from './control.ts';
import { customerEndpoints } from './customers.ts';
import { disputeEndpoints } from './disputes.ts';
import type { Endpoint } from './endpoint.ts';
import { Faults } from './faults.ts';
import { decodeForm, type Form } from './form.ts';
import { answerPage } from './pages.ts';
import { paymentEndpoints } from './payments.ts';
import { Refusal, invalid, refusalOf } from './refusal.ts';
import { refundEndpoints } from './refunds.ts';
import { reportEndpoints } from './reports.ts';
import { setupEndpoints } from './setups.ts';
import { WebhookDelivery } from './webhook-delivery.ts';
import { apiVersion, World } from './world.ts';

const endpoints: readonly Endpoint[] = [
  ...customerEndpoints,
  ...paymentEndpoints,
  ...setupEndpoints,
  ...checkoutEndpoints,
  ...refundEndpoints,
  ...disputeEndpoints,
  ...connectEndpoints,
  ...reportEndpoints,
];

export type StripeServer = Awaited<ReturnType<typeof startStripeServer>>;

/**
 * A stand-in for Stripe that the real SDK talks to: it remembers, checks requests as strictly, refuses in the
 * same form, keeps idempotency keys and sends signed webhooks. For tests and local use; no money moves.
 *
 * @param port 0 takes any free one
 */
export async function startStripeServer({ port = 0, host = '127.0.0.1' } = {}) {
  const world = new World();
  const faults = new Faults();
  const webhooks = new WebhookDelivery(world);
  const requests: { method: string; path: string; key: string | null; status: number }[] = [];
  const answers = new IdempotentAnswers();

  const server = createServer((request, response) => {
    void serve(request, response).catch((thrown: unknown) => {
      if (!response.headersSent)
        send(response, 500, { error: { type: 'api_error', message: String(thrown) } });
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  world.baseUrl = `http://${host}:${(server.address() as AddressInfo).port}`;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', world.baseUrl);
    const method = request.method ?? 'GET';
    const body = await readText(request);
    if (url.pathname.startsWith('/_control/')) {
      await serveControl(response, url.pathname.slice('/_control/'.length), body);
      return;
    }
    if (url.pathname.startsWith('/v1/')) {
      await serveApi(request, response, method, url, body);
      return;
    }
    servePage(response, method, url.pathname, body);
  }

  async function serveControl(response: ServerResponse, act: string, body: string): Promise<void> {
    try {
      const given: unknown = body === '' ? {} : JSON.parse(body);
      send(response, 200, await control({ world, faults, webhooks }, act, given));
    } catch (thrown) {
      send(response, thrown instanceof Refusal ? thrown.status : 400, { message: String(thrown) });
    }
  }

  function servePage(response: ServerResponse, method: string, path: string, body: string): void {
    try {
      const answer = answerPage(world, method, path, new URLSearchParams(body));
      if (!answer) send(response, 404, { message: 'no such page' });
      else if ('location' in answer) response.writeHead(303, { location: answer.location }).end();
      else response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(answer.html);
    } catch (thrown) {
      const status = thrown instanceof Refusal ? thrown.status : 500;
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' }).end(String(thrown));
    }
  }

  async function serveApi(
    request: IncomingMessage,
    response: ServerResponse,
    method: string,
    url: URL,
    body: string,
  ): Promise<void> {
    const requestId = world.newId('req');
    const fault = faults.take(method, url.pathname);
    const key = method === 'POST' ? (request.headers['idempotency-key']?.toString() ?? null) : null;
    const reply = (answer: Answer) => {
      requests.push({ method, path: url.pathname, key, status: answer.status });
      send(response, answer.status, answer.body, {
        'request-id': requestId,
        'stripe-version': apiVersion,
        ...(key === null ? {} : { 'idempotency-key': key }),
        ...(answer.replayed ? { 'idempotent-replayed': 'true' } : {}),
      });
    };
    const refuse = (refusal: Refusal) => reply({ status: refusal.status, body: refusal.body(requestId) });

    if (!/^Bearer (sk|rk)_test_\w+$/.test(request.headers.authorization ?? '')) {
      refuse(new Refusal(401, 'invalid_request_error', 'Invalid API Key provided.'));
      return;
    }
    if (fault?.kind === 'rate_limited') {
      refuse(
        new Refusal(429, 'invalid_request_error', 'Too many requests in a short time.', {
          code: 'rate_limit',
        }),
      );
      return;
    }
    if (fault?.kind === 'down') {
      refuse(new Refusal(503, 'api_error', 'The service is not available just now.'));
      return;
    }
    const account = request.headers['stripe-account']?.toString();
    const execute = (): Answer => {
      if (fault?.kind === 'error') throw new Refusal(500, 'api_error', 'An error occurred on our side.');
      const answer = { status: 200, body: answerApi(world, method, url, body, account) };
      if (fault?.kind === 'error_after')
        throw new Refusal(500, 'api_error', 'An error occurred on our side.');
      return answer;
    };
    const slowMs = fault?.kind === 'slow' ? fault.ms : 0;
    let answer: Answer;
    try {
      answer = await answers.once(
        key,
        `${method} ${url.pathname} ${account ?? ''}\n${body}`,
        slowMs,
        execute,
        requestId,
      );
    } catch (thrown) {
      if (!(thrown instanceof Refusal)) throw thrown;
      refuse(thrown);
      return;
    }
    if (fault?.kind === 'lost') {
      requests.push({ method, path: url.pathname, key, status: 0 });
      response.destroy();
      return;
    }
    if (fault?.kind === 'stall') await delay(fault.ms, undefined, { ref: false });
    if (!response.destroyed) reply(answer);
  }

  return {
    url: world.baseUrl,
    world,
    webhooks,
    /** Every request to the API with the status of its answer (0: lost), oldest first. */
    requests,
    /** See `control.ts`. */
    control: (act: string, body: unknown = {}) => control({ world, faults, webhooks }, act, body),
    async close(): Promise<void> {
      await webhooks.close();
      await closeServer(server);
    },
  };
}

interface Answer {
  status: number;
  body: object;
  replayed?: true;
}

/** Parameters first, so that a request that is refused for its form has no effect and keeps its key free. */
function answerApi(
  world: World,
  method: string,
  url: URL,
  body: string,
  account: string | undefined,
): object {
  const found = findEndpoint(method, url.pathname);
  if (!found) {
    throw new Refusal(404, 'invalid_request_error', `Unrecognized request URL (${method}: ${url.pathname}).`);
  }
  const form = readForm(method === 'POST' ? body : url.search.slice(1));
  const params = found.endpoint.params.safeParse(form, { reportInput: true });
  if (!params.success) throw refusalOf(params.error);
  const answer = structuredClone(found.endpoint.answer(params.data, { world, path: found.path, account }));
  const { expand } = params.data as { expand?: string[] };
  for (const path of expand ?? []) expandPath(world, answer, path.split('.'), path);
  return answer;
}

function readForm(text: string): Form {
  try {
    return decodeForm(text);
  } catch (thrown) {
    throw invalid(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function findEndpoint(
  method: string,
  pathname: string,
): { endpoint: Endpoint; path: Record<string, string> } | null {
  const given = pathname.split('/');
  for (const endpoint of endpoints) {
    const wanted = endpoint.path.split('/');
    if (endpoint.method !== method || wanted.length !== given.length) continue;
    const path: Record<string, string> = {};
    const fits = wanted.every((part, index) => {
      const value = given[index] ?? '';
      if (!part.startsWith(':')) return part === value;
      path[part.slice(1)] = decodeURIComponent(value);
      return true;
    });
    if (fits) return { endpoint, path };
  }
  return null;
}

/** Puts the object in the place of its id, as `expand` asks. */
function expandPath(world: World, target: unknown, [name = '', ...rest]: string[], whole: string): void {
  if (typeof target !== 'object' || target === null) return;
  if (Array.isArray(target)) {
    for (const item of target) expandPath(world, item, [name, ...rest], whole);
    return;
  }
  const holder = target as Record<string, unknown>;
  if (!(name in holder)) {
    throw invalid(`This property cannot be expanded (${whole}).`, 'property_cannot_be_expanded');
  }
  const value = holder[name];
  if (typeof value === 'string') holder[name] = structuredClone(world.byId(value)) ?? value;
  if (rest.length > 0) expandPath(world, holder[name], rest, whole);
}

/** First answers by idempotency key, and the keys in use. */
class IdempotentAnswers {
  readonly #kept = new Map<string, { hash: string; answer: Answer | null }>();

  /**
   * Runs once for a key. A refusal of the form (400) or before the work leaves the key free; a decline (402),
   * a missing object or our own error (500) is kept like a success.
   */
  async once(
    key: string | null,
    request: string,
    slowMs: number,
    execute: () => Answer,
    requestId: string,
  ): Promise<Answer> {
    if (key === null) {
      await delay(slowMs);
      return execute();
    }
    if (key.length > 255) throw invalid('Idempotency keys may have at most 255 characters.');
    const hash = createHash('sha256').update(request).digest('hex');
    const before = this.#kept.get(key);
    if (before) {
      if (before.hash !== hash) {
        throw new Refusal(
          400,
          'idempotency_error',
          `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
        );
      }
      if (before.answer) return { ...before.answer, replayed: true };
      throw new Refusal(
        409,
        'idempotency_error',
        'There is currently another in-progress request using this idempotency key.',
        { code: 'idempotency_key_in_use' },
      );
    }
    const entry: { hash: string; answer: Answer | null } = { hash, answer: null };
    this.#kept.set(key, entry);
    await delay(slowMs);
    try {
      entry.answer = execute();
      return entry.answer;
    } catch (thrown) {
      if (!(thrown instanceof Refusal) || thrown.status === 400) this.#kept.delete(key);
      else entry.answer = { status: thrown.status, body: thrown.body(requestId) };
      throw thrown;
    }
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}

function send(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(body, null, 2);
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(text);
}

async function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
}
