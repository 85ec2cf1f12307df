import type { Db } from '@computefabric/db/client';
import { Router } from 'express';
import type { Metrics } from '../../http/metrics.ts';
import { openApiDocument } from '../../http/openapi.ts';
import { docsRoutes } from './docs.ts';
import { healthRoutes, type Readiness } from './health.ts';
import { schemaRoutes } from './schemas.ts';

interface MetaDeps {
  db: Db;
  metrics: Metrics;
  readiness: Readiness;
}

/** Paths that have their own line in the request metrics. */
const named: ReadonlySet<string> = new Set([
  '/healthz',
  '/readyz',
  '/metrics',
  '/openapi.json',
  '/docs',
  '/schemas/computefabric.json',
]);

/** What is about the program and not about the market: health, metrics, description. Open to everybody. */
export function metaRoutes(deps: MetaDeps): Router {
  const router = Router();
  router.use((request, response, next) => {
    if (named.has(request.path)) response.locals.routeId = request.path;
    next();
  });
  router.use(healthRoutes(deps));
  router.get('/metrics', async (_request, response) => {
    const { contentType, body } = await deps.metrics.render();
    response.set('content-type', contentType).send(body);
  });
  // Relative, so that it is right behind any proxy.
  const description = JSON.stringify(openApiDocument('/'));
  router.get('/openapi.json', (_request, response) => {
    response.type('json').send(description);
  });
  router.use(schemaRoutes());
  router.use(docsRoutes());
  return router;
}
