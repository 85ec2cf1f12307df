import { AppError } from '@computefabric/runtime/errors';
import { type Logger, logContext } from '@computefabric/runtime/log';
import express, { type Express, type RequestHandler, type Router } from 'express';
import type { BoundRoute, RouteContext } from './define-route.ts';
import { errorHandler } from './error-handler.ts';
import type { Metrics } from './metrics.ts';
import { requestId } from './middleware/request-id.ts';
import { securityHeaders } from './middleware/security-headers.ts';
import { RouteTable } from './route-table.ts';

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
  app.use(securityHeaders());
  app.use(requestId, observed(log, metrics));
  app.use(answering(new RouteTable(routes), context));
  app.use(meta);
  app.use(() => {
    throw new AppError('request/not-found');
  });
  app.use(errorHandler(log));
  return app;
}

/** Answers what has a contract, in one step: Express would try every route in turn. */
function answering(table: RouteTable, context: RouteContext): RequestHandler {
  return async (request, response, next) => {
    const found = table.find(request.path);
    if (!found) {
      next();
      return;
    }
    // A stream would never end for HEAD, so it is not answered in the place of GET.
    const bound = found.methods.get(request.method);
    if (!bound) {
      const allow = [...found.methods.keys()].join(', ');
      response.set('allow', allow);
      throw new AppError('request/method-not-allowed', { message: `This address takes ${allow} only.` });
    }
    request.params = found.params;
    response.locals.routeId = bound.contract.id;
    await bound.answer(context, request, response);
  };
}

/** One log line and one measurement per request, when its answer has ended. */
function observed(log: Logger, metrics: Metrics): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    const { method, path } = request;
    // Kept here, because the answer ends outside of the request's context: handlers add their ids to it.
    const ids = logContext();
    const ended = () => {
      const ms = performance.now() - startedAt;
      const route = text(response.locals.routeId) ?? 'none';
      const status = response.statusCode;
      metrics.observeRequest({ route, method: route === 'none' ? 'any' : method, status }, ms / 1_000);
      const cut = response.writableFinished ? {} : { cut: true };
      const code = text(response.locals.errorCode);
      // Whoever asks every few seconds whether we live would fill the log.
      log[route.startsWith('/') ? 'debug' : 'info'](
        {
          ...ids,
          method,
          path,
          route,
          status,
          ms: Math.round(ms),
          ...(code === undefined ? {} : { code }),
          ...cut,
        },
        'request',
      );
    };
    response.once('close', ended);
    next();
  };
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
