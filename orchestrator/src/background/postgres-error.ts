/** What PostgreSQL said, found under whatever wrapped it. */
export interface PostgresFault {
  /** SQLSTATE, five characters. */
  code: string;
  constraint: string | undefined;
  table: string | undefined;
  message: string;
  detail: string | undefined;
}

// Of the classes only these begin with a letter. `EPIPE`, a socket's complaint, has five characters too.
const sqlState = /^[0-9FHPX][0-9A-Z]{4}$/;

/** Finds the server's own error in a chain of causes; null when there is none. */
export function postgresFault(thrown: unknown): PostgresFault | null {
  for (let error = thrown, links = 0; error instanceof Error && links < 10; error = error.cause, links += 1) {
    if (!('code' in error) || typeof error.code !== 'string' || !sqlState.test(error.code)) continue;
    return {
      code: error.code,
      constraint: text(error, 'constraint'),
      table: text(error, 'table'),
      message: error.message,
      detail: text(error, 'detail'),
    };
  }
  return null;
}

/** Whether the database (not the request) is what is wrong for the moment, so that trying later helps. */
export function isPassingFault(thrown: unknown): boolean {
  const fault = postgresFault(thrown);
  // Connection lost, out of resources, shutting down or cancelled, and two ways of losing a race for locks.
  if (fault)
    return /^(08|53|57)/.test(fault.code) || ['40001', '40P01', '55P03', '25P03'].includes(fault.code);
  for (let error = thrown, links = 0; error instanceof Error && links < 10; error = error.cause, links += 1) {
    if (
      'code' in error &&
      typeof error.code === 'string' &&
      /^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND)/.test(error.code)
    ) {
      return true;
    }
    // The words of pg and its pool, which carry no code.
    if (
      /timeout exceeded when trying to connect|Connection terminated|not queryable|Query read timeout/.test(
        error.message,
      )
    )
      return true;
  }
  return false;
}

function text(error: Error, key: 'constraint' | 'table' | 'detail'): string | undefined {
  const value: unknown = Reflect.get(error, key);
  return typeof value === 'string' ? value : undefined;
}
