/** What the program's exit code means. A published number keeps its meaning for ever. */
export const exitCodes = {
  ok: row(0, 'Done; the job succeeded.', '–'),
  error: row(1, 'Any other error.', 'perhaps'),
  usage: row(2, 'Usage: a wrong flag or value, or a question that needs a terminal.', 'no'),
  declined: row(3, 'You answered no.', 'no'),
  notLoggedIn: row(4, 'Not logged in, the key has expired, or it may not do that.', 'after login'),
  noMatch: row(5, 'No machine fits (GPU, memory, price).', 'later'),
  money: row(6, 'Money: the balance or a limit is reached.', 'after a top-up'),
  unreachable: row(7, 'The server could not be reached or did not answer in time.', 'yes'),
  jobFailed: row(100, 'The job failed.', '–'),
  jobNotFinished: row(101, 'The job has not finished yet.', '–'),
  jobNotFound: row(102, 'There is no such job.', '–'),
  jobCancelled: row(103, 'The job was cancelled.', '–'),
  jobLostMachine: row(104, 'The job lost its machine and ran out of tries.', 'yes'),
  timeout: row(124, 'The time of --timeout passed.', 'yes'),
  detached: row(130, 'Ctrl-C: you detached; a job that was submitted goes on.', '–'),
} as const;

export type ExitName = keyof typeof exitCodes;

export function exitCode(name: ExitName): number {
  return exitCodes[name].code;
}

function row(code: number, meaning: string, retry: string) {
  return { code, meaning, retry };
}
