import { type ErrorCode, errorCodeRow } from '@computefabric/protocol/error-codes';

export interface FieldProblem {
  path: string;
  message: string;
}

interface AppErrorOptions {
  /** Public sentence, more exact than the catalogue's. */
  message?: string;
  fields?: FieldProblem[];
  /** Public facts for programs. */
  details?: Record<string, unknown>;
  /** For our log only. */
  internal?: string;
  cause?: unknown;
}

/** A refusal with a code of the catalogue. Its message is public; `internal` and `cause` are for us. */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly fields: FieldProblem[] | undefined;
  readonly details: Record<string, unknown> | undefined;
  readonly internal: string | undefined;

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.message ?? errorCodeRow(code).message, { cause: options.cause });
    this.code = code;
    this.fields = options.fields;
    this.details = options.details;
    this.internal = options.internal;
  }

  get status(): number {
    return errorCodeRow(this.code).status;
  }
}

/** Whatever was thrown, as an Error. */
export function toError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
