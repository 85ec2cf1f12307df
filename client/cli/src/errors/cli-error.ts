import { type ExitName, exitCode } from '../exit-codes.ts';

/** Codes of refusals that the program itself makes; the server's are in protocol/error-codes. */
export const cliErrors = {
  'cli/usage': 'The command line is not valid.',
  'cli/confirmation-needed': 'A question had to be asked and there was no terminal to ask it on.',
  'cli/declined': 'You answered no.',
  'cli/interrupted': 'You pressed Ctrl-C.',
  'cli/config': 'The configuration file cannot be used.',
  'cli/unreachable': 'The server did not answer.',
  'cli/submit-unknown': 'The connection broke while the job was being submitted.',
  'cli/unexpected-answer': 'The server gave an answer that this version does not understand.',
  'cli/timeout': 'The time of --timeout passed.',
  'cli/no-match': 'No machine on the market can run the job now.',
  'cli/job-file': 'The file does not describe a valid job.',
  'cli/ambiguous-job': 'Several jobs begin like that.',
  'cli/file': 'A local file could not be read or written.',
  'cli/hash-mismatch': 'A downloaded file is not the one that the server announced.',
  'cli/receipt-changed': 'A receipt does not fit its signature, or its sums are wrong.',
  'cli/internal': 'Something went wrong in this program.',
} as const;

export type CliErrorCode = keyof typeof cliErrors;

export interface CliErrorFacts {
  /** Of `cliErrors` or of the API's catalogue. */
  code: string;
  /** One sentence, without its full stop. */
  message: string;
  /** What was asked, what there is: `[label, text]`. */
  facts?: (readonly [label: string, text: string])[];
  /** Commands or changes that would work. */
  help?: string[];
  exit: ExitName;
  /** All that a person is told instead, where nothing went wrong: they said no, or stop. */
  plain?: string;
  fields?: { path: string; message: string }[] | undefined;
  details?: Record<string, unknown> | undefined;
  retry?: 'never' | 'same-request' | 'later';
  requestId?: string | null;
  cause?: unknown;
}

/** A refusal in the form in which people and programs get it. */
export class CliError extends Error {
  override readonly name = 'CliError';
  readonly facts: CliErrorFacts;

  constructor(facts: CliErrorFacts) {
    super(facts.message, { cause: facts.cause });
    this.facts = facts;
  }

  get exitCode(): number {
    return exitCode(this.facts.exit);
  }
}

/** The command line is wrong: exit 2. */
export function usageError(message: string, ...help: string[]): CliError {
  return new CliError({ code: 'cli/usage', message, help, exit: 'usage', retry: 'never' });
}
