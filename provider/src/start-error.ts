/** Why the agent could not start or go on, as the exit code of the process. */
export const exitCodes = {
  /** Another agent holds the folder, or a newer process took over. */
  'other-agent': 1,
  /** Settings, credential file or join token are wrong or missing. */
  configuration: 2,
  /** The orchestrator refuses this machine. */
  refused: 3,
  /** No Docker engine answers. */
  'no-engine': 4,
} as const;
export type StartProblem = keyof typeof exitCodes;

/** The agent cannot start or go on; the message says what the owner has to do. */
export class StartError extends Error {
  override readonly name = 'StartError';
  readonly problem: StartProblem;

  constructor(message: string, problem: StartProblem, cause?: unknown) {
    super(message, { cause });
    this.problem = problem;
  }
}
