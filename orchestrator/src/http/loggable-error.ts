import { AppError } from '@computefabric/runtime/errors';
import { postgresFault } from '../background/postgres-error.ts';

interface LoggableError {
  type: string;
  message: string;
  [detail: string]: unknown;
}

/**
 * An error as the log may have it. A failed query's message and properties carry its parameters, and a
 * violated constraint's detail the row: environment values of jobs, hashes of keys. Those are left out; what,
 * where and which constraint stay.
 */
export function loggableError(thrown: unknown): LoggableError {
  if (!(thrown instanceof Error))
    return { type: typeof thrown, message: 'something that is no error was thrown' };
  const fault = postgresFault(thrown);
  if (fault) {
    return {
      type: thrown.name,
      message: `database: ${fault.message}`,
      sqlstate: fault.code,
      constraint: fault.constraint,
      table: fault.table,
      stack: frames(thrown),
    };
  }
  const query = 'query' in thrown && 'params' in thrown; // Drizzle's wrapper around what the driver threw
  return {
    type: thrown.name,
    message: query ? 'database query failed' : thrown.message,
    ...(thrown instanceof AppError ? { code: thrown.code, internal: thrown.internal } : {}),
    ...(thrown.cause === undefined ? {} : { cause: loggableError(thrown.cause) }),
    stack: frames(thrown),
  };
}

/** The stack without the message that stands before it. */
function frames(error: Error): string[] {
  return (error.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .map((line) => line.trim());
}
