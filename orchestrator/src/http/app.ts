import { AsyncResource } from 'node:async_hooks';
import { AppError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import express, { type Express, type RequestHandler, type Router } from 'express';
import helmet from 'helmet';
import type { BoundRoute, RouteContext } from './define-route.ts';
import { errorHandler } from './error-handler.ts';
import type { Metrics } from './metrics.ts';
import { requestId } from './middleware/request-id.ts';

interface AppDeps {
  log: Logger;
  metrics: Metrics;
  context: RouteContext;
  /** Everything with a contract. */
  routes: readonly BoundRoute[];
  /** Health, metrics, documentation: what has no contract. */
  meta: Router;
}

/** The Express application: every route of the contracts behind the same door, and one form of error. */
export function createApp({ log, metrics, context, routes, meta }: AppDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag'); // answers change all the time; hashing each of them would buy nothing
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.use(
    helmet({
      // An API has no pages: nothing it sends may be run, framed or embedded. The documentation sets its own.
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      },
      referrerPolicy: { policy: 'no-referrer' },
    }),
  );
  app.use(requestId, observed(log, metrics));
  app.use(meta);
  for (const [path, methods] of byPath(routes)) {
    const expressPath = path.replace(/\{(\w+)\}/g, ':$1');
    for (const [method, bound] of methods) app[method](expressPath, answering(bound, context));
    app.all(expressPath, methodNotAllowed([...methods.keys()]));
  }
  app.use(() => {
    throw new AppError('request/not-found');
  });
  app.use(errorHandler(log));
  return app;
}

type ExpressMethod = 'get' | 'post' | 'put' | 'patch' | 'delete';
const expressMethods = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'delete' } as const;

function byPath(routes: readonly BoundRoute[]): Map<string, Map<ExpressMethod, BoundRoute>> {
  const paths = new Map<string, Map<ExpressMethod, BoundRoute>>();
  for (const bound of routes) {
    const methods = paths.get(bound.contract.path) ?? new Map<ExpressMethod, BoundRoute>();
    methods.set(expressMethods[bound.contract.method], bound);
    paths.set(bound.contract.path, methods);
  }
  return paths;
}

function answering(bound: BoundRoute, context: RouteContext): RequestHandler {
  return async (request, response) => {
    // Express gives HEAD to the handler of GET, where a stream would never end.
    if (request.method !== bound.contract.method) throw new AppError('request/method-not-allowed');
    response.locals.routeId = bound.contract.id;
    await bound.answer(context, request, response);
  };
}

function methodNotAllowed(methods: readonly ExpressMethod[]): RequestHandler {
  const allow = methods.map((method) => method.toUpperCase()).join(', ');
  return (_request, response) => {
    response.set('allow', allow);
    throw new AppError('request/method-not-allowed', { message: `This address takes ${allow} only.` });
  };
}

/** One log line and one measurement per request, when its answer has ended. */
function observed(log: Logger, metrics: Metrics): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    const { method, path } = request;
    // Bound here, so that the line has the ids that the request's handlers add to the log context.
    const ended = AsyncResource.bind(() => {
      const ms = performance.now() - startedAt;
      const route = text(response.locals.routeId) ?? 'none';
      const status = response.statusCode;
      metrics.observeRequest({ route, method: route === 'none' ? 'any' : method, status }, ms / 1_000);
      const cut = response.writableFinished ? {} : { cut: true };
      const code = text(response.locals.errorCode);
      // Whoever asks every few seconds whether we live would fill the log.
      log[route.startsWith('/') ? 'debug' : 'info'](
        { method, path, route, status, ms: Math.round(ms), ...(code === undefined ? {} : { code }), ...cut },
        'request',
      );
    });
    response.once('close', ended);
    next();
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
