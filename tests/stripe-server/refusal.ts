import type { z } from 'zod';

type RefusalType = 'invalid_request_error' | 'card_error' | 'idempotency_error' | 'api_error';

/** An error answer in Stripe's form. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly type: RefusalType;
  readonly more: Record<string, unknown>;

  /** @param more other fields of the error, such as `code`, `param` or `payment_intent` */
  constructor(status: number, type: RefusalType, message: string, more: Record<string, unknown> = {}) {
    super(message);
    this.status = status;
    this.type = type;
    this.more = more;
  }

  body(requestId: string) {
    const { type, message, more } = this;
    return {
      error: { type, message, ...more, request_log_url: `https://stand-in.invalid/logs/${requestId}` },
    };
  }
}

export function invalid(message: string, code?: string, param?: string): Refusal {
  return new Refusal(400, 'invalid_request_error', message, {
    ...(code === undefined ? {} : { code }),
    ...(param === undefined ? {} : { param }),
  });
}

export function missing(what: string, id: string, param = 'id'): Refusal {
  return new Refusal(404, 'invalid_request_error', `No such ${what}: '${id}'`, {
    code: 'resource_missing',
    param,
  });
}

/** What Stripe says about parameters that it does not know or that are of the wrong kind. */
export function refusalOf(error: z.ZodError): Refusal {
  const issue = error.issues[0];
  if (!issue) return invalid('The request is not valid.');
  if (issue.code === 'unrecognized_keys') {
    const param = paramOf([...issue.path, issue.keys[0] ?? '']);
    return invalid(`Received unknown parameter: ${param}`, 'parameter_unknown', param);
  }
  const param = paramOf(issue.path);
  if (issue.code === 'invalid_type' && issue.input === undefined && /undefined/.test(issue.message)) {
    return invalid(`Missing required param: ${param}.`, 'parameter_missing', param);
  }
  const code = issue.code === 'custom' ? 'parameter_invalid_empty' : 'parameter_invalid';
  return invalid(
    `Invalid ${param}: ${issue.message}`,
    issue.message.startsWith('integer') ? 'parameter_invalid_integer' : code,
    param,
  );
}

function paramOf(path: readonly PropertyKey[]): string {
  const [first = '', ...rest] = path.map(String);
  return first + rest.map((part) => `[${part}]`).join('');
}
