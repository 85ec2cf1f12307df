import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { RequestHandler } from 'express';
import helmet from 'helmet';

/**
 * The headers by which browsers keep an API from being run, framed or embedded. They are the same for every
 * answer, so helmet is asked once, at the start; what comes later may set its own (the documentation does).
 */
export function securityHeaders(): RequestHandler {
  const headers = Object.entries(askedOnce()).filter((entry): entry is [string, string] => {
    return typeof entry[1] === 'string';
  });
  return (_request, response, next) => {
    for (const [name, value] of headers) response.setHeader(name, value);
    next();
  };
}

function askedOnce() {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  const protect = helmet({
    // An API has no pages: nothing it sends may be run, framed or embedded.
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    },
    referrerPolicy: { policy: 'no-referrer' },
  });
  protect(request, response, (refusal) => {
    if (refusal !== undefined) throw refusal;
  });
  return response.getHeaders();
}
