import { endReasonCodes, endReasonRow } from '@computefabric/protocol/end-reason';
import type { JobState } from '@computefabric/protocol/job-state';
import { exitCodes } from '../exit-codes.ts';
import { environmentVariables } from '../settings/environment.ts';
import { defaultUrl } from '../settings/settings.ts';
import { table } from '../terminal/table.ts';
import { errorCodeText, knownErrorCodes } from './error-codes.ts';
import { jobFileLines } from '../job-file/job-file-help.ts';

export interface Topic {
  name: string;
  title: string;
  lines: () => string[];
}

/** What a renter sees of each state. */
const states: Record<JobState, readonly [meaning: string, billed: string]> = {
  blocked: ['Waits for other jobs: what it comes after, or room in its array.', 'no'],
  queued: ['Waits for a machine. "cfab explain JOB" says why.', 'no'],
  preparing: ['A machine has it: pulls the image, starts the container.', 'no'],
  running: ['Its program runs.', 'yes, per second'],
  finishing: ['Its program was told to stop or has ended; results are saved.', 'no, once it ended'],
  succeeded: ['Its program ended with 0.', '–'],
  failed: ['Its program ended with an error, or it could not be run.', '–'],
  cancelled: ['You cancelled it.', '–'],
  expired: ['It reached its time limit or money limit, or found no machine in time.', '–'],
};

/** Help that belongs to no single command. */
export const topics: readonly Topic[] = [
  {
    name: 'environment',
    title: 'Settings: a flag wins over the environment, that over the file, that over the default',
    lines: () => [
      ...rows(environmentVariables),
      '',
      'The file is computefabric/config.toml in the configuration folder, with two settings:',
      `  url = "${defaultUrl}"`,
      '  token = "…"        used for that url alone; "cfab login" writes it, readable by you alone',
      '',
      `Without any of these the address is ${defaultUrl}. "cfab config list" shows what is in force.`,
    ],
  },
  {
    name: 'exit-codes',
    title: 'Exit codes',
    lines: () => [
      ...table(
        [{ title: 'CODE', align: 'right' }, { title: 'MEANING' }, { title: 'TRY AGAIN' }],
        Object.values(exitCodes).map(({ code, meaning, retry }) => [`${code}`, meaning, retry]),
      ),
      '',
      'Attached submit, wait and "status --exit-status" tell by these how a job ended. With',
      '--exit-code-from-job, submit and wait end with the exit code of the job’s program instead.',
      'With --json the final object has both: exit_code (the program’s) and cli_exit_code.',
    ],
  },
  {
    name: 'states',
    title: 'States of a job',
    lines: () =>
      table(
        [{ title: 'STATE' }, { title: 'MEANING' }, { title: 'BILLED' }],
        Object.entries(states).map(([state, [meaning, billed]]) => [state, meaning, billed]),
      ),
  },
  {
    name: 'job-file',
    title: 'Keys of computefabric.yaml, in the same words that the flags of submit take',
    lines: () => jobFileLines(),
  },
  {
    name: 'billing',
    title: 'Billing',
    lines: () => [
      'You pay for the seconds in which your program runs, at the price of the machine, frozen when',
      'the job is matched. The market measures the time; the machine’s word is not taken for it.',
      'Waiting, pulling the image and saving results cost nothing.',
      '',
      'Every job has a most that it may cost, shown in the plan: that much of your balance is held',
      'when you submit it. When it ends the bill is taken from it and the rest is free again.',
      'Where a market has no payment provider it uses play money, and says so.',
      '',
      'Whether a try is billed follows from how it ended:',
      ...table(
        [{ title: 'END' }, { title: 'BILLED' }, { title: 'MEANING' }],
        endReasonCodes.map((reason) => {
          const { billable, billedToCheckpoint, requeue, sentence } = endReasonRow(reason);
          const billed = billable ? 'yes' : billedToCheckpoint ? 'if saved' : 'no';
          return [reason, billed, `${sentence}${requeue ? ' The job is tried again.' : ''}`];
        }),
      ).map((line) => `  ${line}`),
    ],
  },
  {
    name: 'errors',
    title: 'Error codes; each keeps its meaning for ever',
    lines: () => rows(knownErrorCodes.map((code) => [code, errorCodeText(code)[1]?.trim() ?? ''])),
  },
];

function rows(pairs: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...pairs.map(([term]) => term.length));
  return pairs.map(([term, text]) => `  ${term.padEnd(width)}  ${text}`);
}
