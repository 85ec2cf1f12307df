import { z } from 'zod';

export type Blame = 'renter' | 'provider' | 'platform' | 'upstream';
/** What a client may do: give up, send the very same request again, or try later. */
export type RetryAdvice = 'never' | 'same-request' | 'later';

interface ErrorCodeRow {
  status: number;
  /** The public sentence; a thrown error may give a more exact one. */
  message: string;
  blame: Blame;
  retry: RetryAdvice;
}

/** Every refusal a client can meet. A code, once published, keeps its meaning for ever. */
export const errorCodes = {
  'request/invalid': row(400, 'The request is not valid.', 'renter', 'never'),
  'request/malformed-json': row(400, 'The body is not valid JSON.', 'renter', 'never'),
  'request/too-deep': row(400, 'The body is nested too deeply.', 'renter', 'never'),
  'request/too-large': row(413, 'The body is too large.', 'renter', 'never'),
  'request/unsupported-media-type': row(
    415,
    'The body has a content type that is not accepted here.',
    'renter',
    'never',
  ),
  'request/idempotency-key-missing': row(
    400,
    'Send an Idempotency-Key header of 1 to 128 characters.',
    'renter',
    'never',
  ),
  'request/idempotency-key-reused': row(
    409,
    'This Idempotency-Key was used before with another request.',
    'renter',
    'never',
  ),
  'request/not-found': row(404, 'There is no such address.', 'renter', 'never'),
  'request/method-not-allowed': row(405, 'This address does not take that method.', 'renter', 'never'),
  'auth/missing': row(401, 'Send your API key as "Authorization: Bearer …".', 'renter', 'never'),
  'auth/invalid': row(401, 'The API key is not valid, has expired or was revoked.', 'renter', 'never'),
  'auth/clock-skew': row(401, 'The time of this signature is too far from ours.', 'provider', 'never'),
  'auth/forbidden': row(403, 'This key may not do that.', 'renter', 'never'),
  'job/not-found': row(404, 'There is no such job in your account.', 'renter', 'never'),
  'job/name-taken': row(409, 'You have a job of that name already.', 'renter', 'never'),
  'job/already-final': row(409, 'The job has ended already.', 'renter', 'never'),
  'job/not-resumable': row(409, 'Only a job that money has stopped can go on.', 'renter', 'never'),
  'job/already-resumed': row(409, 'Another job goes on from this one already.', 'renter', 'never'),
  'dispute/not-found': row(404, 'There is no such dispute.', 'renter', 'never'),
  'dispute/exists': row(409, 'This job is contested already.', 'renter', 'never'),
  'dispute/not-settled': row(409, 'The job has not ended, or is not settled yet.', 'renter', 'later'),
  'dispute/nothing-billed': row(
    409,
    'Nothing was paid for this job that could be given back.',
    'renter',
    'never',
  ),
  'dispute/too-late': row(409, 'It is too long since the job ended.', 'renter', 'never'),
  'dispute/decided': row(
    409,
    'That has been decided, and money that was given back stays given.',
    'renter',
    'never',
  ),
  'receipt/not-ready': row(
    409,
    'There is no receipt yet: it is made when all has ended and is settled.',
    'renter',
    'later',
  ),
  'group/not-found': row(404, 'There is no such group in your account.', 'renter', 'never'),
  'group/already-final': row(409, 'The group has ended already.', 'renter', 'never'),
  'schedule/not-found': row(404, 'There is no such schedule in your account.', 'renter', 'never'),
  'schedule/name-taken': row(409, 'You have a schedule of that name already.', 'renter', 'never'),
  'schedule/too-many': row(409, 'You have as many schedules as an account may have.', 'renter', 'never'),
  'artifact/not-found': row(404, 'There is no such result file.', 'renter', 'never'),
  'artifact/too-large': row(413, 'The result files are larger than allowed.', 'provider', 'never'),
  'artifact/hash-mismatch': row(
    422,
    'The bytes received do not have the hash announced.',
    'provider',
    'same-request',
  ),
  'checkpoint/not-found': row(404, 'There is no such checkpoint.', 'renter', 'never'),
  'checkpoint/bad-manifest': row(
    400,
    'The list of what the checkpoint holds is not valid.',
    'provider',
    'never',
  ),
  'checkpoint/no-room': row(
    409,
    'The job has as much saved state as it may; older state is being removed.',
    'renter',
    'later',
  ),
  'checkpoint/damaged': row(410, 'This saved state is damaged; an older one is used.', 'platform', 'never'),
  'provider/not-found': row(404, 'There is no such machine in your account.', 'renter', 'never'),
  'provider/absence-past': row(400, 'The absence is over already.', 'renter', 'never'),
  'provider/suspended': row(403, 'This machine is suspended.', 'provider', 'never'),
  'provider/session-stale': row(409, 'A newer process of this machine has taken over.', 'provider', 'never'),
  'provider/key-taken': row(
    409,
    'This key is not the one of this machine, or belongs to another one.',
    'provider',
    'never',
  ),
  'join-token/invalid': row(
    401,
    'The join token is not valid, has expired or was used.',
    'provider',
    'never',
  ),
  'lease/not-found': row(404, 'There is no such lease for this machine.', 'provider', 'never'),
  'lease/stale': row(409, 'This lease is no longer yours. Stop its container.', 'provider', 'never'),
  'lease/logs-incomplete': row(
    409,
    'Some output is missing. Send it from next_seq on.',
    'provider',
    'same-request',
  ),
  'lease/bad-frames': row(400, 'The log batch cannot be read.', 'provider', 'never'),
  'budget/exceeded': row(402, 'A budget does not allow the most this job may cost.', 'renter', 'never'),
  'budget/not-found': row(404, 'There is no such budget in your account.', 'renter', 'never'),
  'ledger/insufficient-funds': row(
    402,
    'The balance does not cover the most this job may cost.',
    'renter',
    'later',
  ),
  'billing/not-configured': row(
    409,
    'This market takes no money: it has no payment provider.',
    'renter',
    'never',
  ),
  'billing/account-frozen': row(
    402,
    'This account may not submit jobs until what is open is paid or decided.',
    'renter',
    'later',
  ),
  'billing/card-required': row(
    402,
    'Save a card first: this market charges it after each job.',
    'renter',
    'later',
  ),
  'billing/credit-limit': row(
    402,
    'The unfinished and unpaid jobs of this account reach its credit limit.',
    'renter',
    'later',
  ),
  'billing/card-not-found': row(404, 'There is no such card in your account.', 'renter', 'never'),
  'billing/top-up-not-found': row(404, 'There is no such top-up in your account.', 'renter', 'never'),
  'billing/nothing-to-refund': row(
    409,
    'There is no unspent money that came from a card.',
    'renter',
    'never',
  ),
  'payout/not-configured': row(
    409,
    'This market has no payment provider: its operator pays out by other means.',
    'renter',
    'never',
  ),
  'payout/account-incomplete': row(
    409,
    'Say first where the money goes: the payment provider does not take transfers to you yet.',
    'renter',
    'later',
  ),
  'payout/below-minimum': row(409, 'There is less to pay out than the least payout.', 'renter', 'later'),
  'payout/not-enough': row(409, 'There is less to pay out than that.', 'renter', 'later'),
  'payout/under-way': row(409, 'A payout to this owner is under way.', 'renter', 'later'),
  'payout/not-found': row(404, 'There is no such payout.', 'renter', 'never'),
  'payout/owner-not-found': row(404, 'There is nobody of that id or email.', 'renter', 'never'),
  'payout/not-manual': row(
    409,
    'The payment provider made this payout: reverse its transfer there, and it is booked here.',
    'renter',
    'never',
  ),
  'payout/corrected': row(409, 'This payout was taken back already.', 'renter', 'never'),
  'earnings/statement-too-long': row(
    413,
    'This statement has too many lines: ask for it day by day.',
    'renter',
    'never',
  ),
  'stripe/bad-signature': row(400, 'The signature of this webhook is not valid.', 'upstream', 'never'),
  'stripe/unavailable': row(503, 'The payment provider does not answer just now.', 'upstream', 'later'),
  'stripe/refused': row(502, 'The payment provider does not accept this.', 'upstream', 'never'),
  'server/busy': row(503, 'The server is busy or restarting.', 'platform', 'later'),
  'server/internal': row(
    500,
    'Something went wrong on our side. The request id helps us find it.',
    'platform',
    'later',
  ),
} as const satisfies Record<string, ErrorCodeRow>;

export type ErrorCode = keyof typeof errorCodes;
export const errorCodeList = Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]];

export function errorCodeRow(code: ErrorCode): ErrorCodeRow {
  return errorCodes[code];
}

/** A problem with one field: its path as in `requirements.gpus` or `command[1]`, and what to write instead. */
export const fieldProblem = z.object({ path: z.string(), message: z.string() });

/** The body of every answer of 400 or more. */
export const errorBody = z
  .object({
    error: z.object({
      code: z.string(),
      message: z.string(),
      fields: z.array(fieldProblem).optional(),
      details: z.record(z.string(), z.unknown()).optional(),
      retry: z.enum(['never', 'same-request', 'later']),
      request_id: z.string(),
    }),
  })
  .meta({ id: 'Error' });
export type ErrorBody = z.infer<typeof errorBody>;

function row(status: number, message: string, blame: Blame, retry: RetryAdvice): ErrorCodeRow {
  return { status, message, blame, retry };
}
