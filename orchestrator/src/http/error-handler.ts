import { type ErrorBody, errorCodeRow } from '@computefabric/protocol/error-codes';
import { AppError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import type { ErrorRequestHandler, Response } from 'express';
import { isPassingFault, postgresFault } from '../background/postgres-error.ts';
import { requestIdOf } from './middleware/request-id.ts';
import { discardRest } from './read-json.ts';

/** The one place where anything thrown becomes an answer: the error form with a code of the catalogue. */
export function errorHandler(log: Logger): ErrorRequestHandler {
  // Express knows an error handler by its four parameters.
  return (thrown: unknown, request, response, _next) => {
    // The client went away in the middle of its request: nobody is there to answer, nothing went wrong here.
    if (request.destroyed && !request.complete) {
      response.destroy();
      return;
    }
    if (response.destroyed) {
      log.warn(
        { err: thrown, path: request.path, method: request.method },
        'request failed after its client left',
      );
      return;
    }
    const error = toAppError(thrown);
    response.locals.errorCode = error.code;
    if (errorCodeRow(error.code).status >= 500) {
      log.error(
        { err: thrown, code: error.code, path: request.path, method: request.method },
        'request failed',
      );
    }
    if (response.headersSent) {
      // A stream that broke: cutting it is the only way left to say so.
      response.destroy();
      return;
    }
    discardRest(request);
    sendError(response, error);
  };
}

/** Whatever was thrown, as a refusal of the catalogue. */
export function toAppError(thrown: unknown): AppError {
  if (thrown instanceof AppError) return thrown;
  // Express refuses a path with broken percent signs this way.
  if (thrown instanceof URIError) {
    return new AppError('request/invalid', {
      message: 'The address has a broken percent sign.',
      cause: thrown,
    });
  }
  // The database's own rule stopped what the code let through; the renter's part of it is an ordinary refusal.
  if (postgresFault(thrown)?.constraint === 'ledger_accounts_floor') {
    return new AppError('ledger/insufficient-funds', { cause: thrown });
  }
  if (isPassingFault(thrown)) return new AppError('server/busy', { cause: thrown });
  return new AppError('server/internal', { cause: thrown });
}

function sendError(response: Response, error: AppError): void {
  const row = errorCodeRow(error.code);
  const body: ErrorBody = {
    error: {
      code: error.code,
      message: error.message,
      ...(error.fields ? { fields: error.fields } : {}),
      ...(error.details ? { details: error.details } : {}),
      retry: row.retry,
      request_id: requestIdOf(response),
    },
  };
  if (row.status === 401) response.set('www-authenticate', 'Bearer');
  if (row.status === 503) response.set('retry-after', '1');
  response.status(row.status).json(body);
}
