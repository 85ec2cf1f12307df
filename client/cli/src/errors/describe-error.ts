import {
  ApiError,
  HashMismatchError,
  UnexpectedReplyError,
  UnreachableError,
} from '@computefabric/api-client/errors';
import type { ErrorCode } from '@computefabric/protocol/error-codes';
import { formatUsd } from '@computefabric/protocol/money';
import type { ExitName } from '../exit-codes.ts';
import { flagOfField } from '../jobs/spec-flags.ts';
import { CliError } from './cli-error.ts';

/** Whatever was thrown, as a refusal that can be printed. */
export function describeError(thrown: unknown, program: string): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof ApiError) return describeApiError(thrown, program);
  if (thrown instanceof UnreachableError) {
    return new CliError({
      code: 'cli/unreachable',
      message: thrown.message,
      help: [
        'check that the server runs and that the address is right:',
        `${program} config list      shows the address and where it comes from`,
      ],
      exit: 'unreachable',
      retry: 'later',
      cause: thrown,
    });
  }
  if (thrown instanceof UnexpectedReplyError) {
    return new CliError({
      code: 'cli/unexpected-answer',
      message: thrown.message,
      help: ['check that the address is that of a ComputeFabric server, and that both have the same version'],
      exit: thrown.status >= 502 && thrown.status <= 504 ? 'unreachable' : 'error',
      cause: thrown,
    });
  }
  if (thrown instanceof HashMismatchError) {
    return new CliError({
      code: 'cli/hash-mismatch',
      message: thrown.message,
      help: ['nothing was kept of it; try again'],
      exit: 'error',
      retry: 'same-request',
      cause: thrown,
    });
  }
  if (isFileError(thrown)) {
    return new CliError({ code: 'cli/file', message: thrown.message, exit: 'error', cause: thrown });
  }
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return new CliError({
    code: 'cli/internal',
    message: `something went wrong in ${program}: ${reason}`,
    help: ['run the command again with --debug and report what it prints'],
    exit: 'error',
    cause: thrown,
  });
}

function describeApiError(error: ApiError, program: string): CliError {
  return new CliError({
    code: error.code,
    message: lowerFirst(error.message),
    facts: [...factsOf(error), ...(error.fields ?? []).map(describeField)],
    help: helpFor(error, program),
    exit: exits[error.code as ErrorCode] ?? 'error',
    fields: error.fields,
    details: error.details,
    retry: error.retry,
    requestId: error.requestId,
    cause: error,
  });
}

/** Exit codes of the API's codes; the others are "any other error". */
const exits: Partial<Record<ErrorCode, ExitName>> = {
  'auth/missing': 'notLoggedIn',
  'auth/invalid': 'notLoggedIn',
  'auth/forbidden': 'notLoggedIn',
  'request/invalid': 'usage',
  'request/too-large': 'usage',
  'request/too-deep': 'usage',
  'job/not-found': 'jobNotFound',
  'ledger/insufficient-funds': 'money',
  'billing/account-frozen': 'money',
  'billing/card-required': 'money',
  'billing/credit-limit': 'money',
  'billing/nothing-to-refund': 'money',
  'budget/exceeded': 'money',
  'server/busy': 'unreachable',
};

function helpFor(error: ApiError, program: string): string[] {
  switch (error.code) {
    case 'auth/missing':
    case 'auth/invalid':
      return loginHelp(program);
    case 'auth/forbidden':
      return [`see which key is used:   ${program} whoami`];
    case 'job/not-found':
      return [`see your jobs:   ${program} status --all`];
    case 'job/name-taken':
      return ['choose another --name, or leave it out and get one'];
    case 'ledger/insufficient-funds':
      return [
        'lower what the job may cost:   --time-limit and --max-price',
        `see what is there:             ${program} balance`,
      ];
    case 'billing/account-frozen':
    case 'billing/credit-limit':
      return [`see what is open:   ${program} billing`];
    case 'billing/card-required':
      return [`save a card:   ${program} billing cards add`];
    case 'server/busy':
      return ['try again in a moment'];
    case 'server/internal':
      return ['try again; if it stays, tell the operator the request id'];
    default:
      return [];
  }
}

export function loginHelp(program: string): string[] {
  return [
    `log in:               ${program} login --with-token < key-file`,
    'or for this shell:    set COMPUTEFABRIC_TOKEN to your API key',
    'of a local market:    source .computefabric/dev.env',
  ];
}

/** Amounts that the server gives with a refusal for lack of money. */
function factsOf(error: ApiError): [string, string][] {
  if (error.code !== 'ledger/insufficient-funds') return [];
  const labels: Record<string, string> = {
    hold_micros: 'at most',
    required_micros: 'at most',
    available_micros: 'balance',
    balance_micros: 'balance',
  };
  return Object.entries(labels).flatMap(([name, label]): [string, string][] => {
    const value = error.details?.[name];
    return typeof value === 'string' && /^-?\d+$/.test(value) ? [[label, formatUsd(BigInt(value))]] : [];
  });
}

/** Names the flag instead of the API's field where there is one. */
export function describeField(field: { path: string; message: string }): [string, string] {
  return [flagOfField(field.path) ?? field.path, field.message];
}

function isFileError(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && 'code' in thrown && 'syscall' in thrown && 'path' in thrown;
}

/** Our headlines begin small after "error:"; a name in capitals stays as it is. */
function lowerFirst(sentence: string): string {
  const text = sentence.replace(/\.$/, '');
  return /^[A-Z][a-z ]/.test(text) ? text[0]?.toLowerCase() + text.slice(1) : text;
}
