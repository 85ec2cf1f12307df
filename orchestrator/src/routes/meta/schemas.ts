import { jobFileSchema } from '@computefabric/protocol/job-file/job-file';
import { Router } from 'express';

/** `/schemas/computefabric.json`: the job file, for editors, wherever they run. */
export function schemaRoutes(): Router {
  const router = Router();
  const schema = JSON.stringify(jobFileSchema());
  router.get('/schemas/computefabric.json', (_request, response) => {
    // Read by editors that run in a browser as well; it holds nothing of anybody.
    response.set('access-control-allow-origin', '*').type('application/schema+json').send(schema);
  });
  return router;
}
