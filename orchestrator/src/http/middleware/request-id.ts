import { randomUUID } from 'node:crypto';
import { withLogContext } from '@computefabric/runtime/log';
import type { RequestHandler, Response } from 'express';

const given = /^[A-Za-z0-9._-]{1,64}$/;

/** Names each request: by its X-Request-Id when it has a harmless one, so that programs can follow a call. */
export const requestId: RequestHandler = (request, response, next) => {
  const header = request.get('x-request-id');
  const id = header !== undefined && given.test(header) ? header : `req_${randomUUID().replaceAll('-', '')}`;
  response.locals.requestId = id;
  response.set('x-request-id', id);
  withLogContext({ request_id: id }, next);
};

export function requestIdOf(response: Response): string {
  const id: unknown = response.locals.requestId;
  return typeof id === 'string' ? id : '';
}
