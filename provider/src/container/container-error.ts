/**
 * Everything that can go wrong between the agent and its container engine, by name.
 * The task runner turns a code into an end reason; it never reads the sentence.
 */
export type ContainerErrorCode =
  /** Nobody answers on the engine's socket: not installed, not started, or no permission. */
  | 'engine-unreachable'
  /** The engine took the request and did not answer inside its deadline. */
  | 'engine-timeout'
  /** The engine refused for a reason that has no name of its own here. */
  | 'engine-refused'
  /** The caller's own signal stopped the call. */
  | 'aborted'
  | 'image-reference-invalid'
  | 'image-not-found'
  /** The image exists, but not for this machine's operating system or processor. */
  | 'image-wrong-platform'
  /** The registry wants a login, or the repository does not exist: many registries do not say which. */
  | 'pull-denied'
  | 'registry-unreachable'
  | 'registry-rate-limited'
  | 'pull-timeout'
  | 'pull-failed'
  | 'disk-full'
  /** It has more to fetch than the owner lets an image have. */
  | 'image-too-large'
  /** The image asks for something that no task gets, for example a VOLUME over `/outputs`. */
  | 'image-refused'
  /** No command was given and the image brings none. */
  | 'command-missing'
  /** The program named by the command is not in the image, or cannot be executed. */
  | 'command-not-found'
  | 'task-spec-invalid'
  | 'variable-reserved'
  /** A container for this lease is already there. */
  | 'task-exists'
  | 'task-not-found'
  /** Asked for something that only a finished task can give. */
  | 'task-running'
  /** The engine did not apply the fixed settings; the container was removed. */
  | 'template-mismatch'
  | 'gpu-unavailable'
  /** This machine cannot give the task the network that it asks for. */
  | 'network-unavailable'
  /** The prepared network that a task was to join has gone: the task can be made anew, with one of its own. */
  | 'network-gone'
  | 'start-failed'
  /** The connection that carried the live output broke while the task runs. */
  | 'output-interrupted'
  | 'outputs-unreadable'
  /** Asked for something that only a running task can do. */
  | 'task-not-running'
  /** The state directory cannot be read as a whole. */
  | 'state-unreadable'
  | 'state-too-large';

/** A failure of the container layer: `code` for programs, `message` for the owner's log. */
export class ContainerError extends Error {
  override readonly name = 'ContainerError';
  readonly code: ContainerErrorCode;
  /** HTTP status of the engine's answer, null when there was none. */
  readonly statusCode: number | null;

  constructor(
    code: ContainerErrorCode,
    message: string,
    options: { cause?: unknown; statusCode?: number | null } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.statusCode = options.statusCode ?? null;
  }
}

/** True when `error` is a ContainerError with one of these codes. */
export function isContainerError(error: unknown, ...codes: ContainerErrorCode[]): error is ContainerError {
  return error instanceof ContainerError && (codes.length === 0 || codes.includes(error.code));
}

/** The engine's "404" about a container, by its name here; anything else as it is. */
export function notFound(error: unknown): unknown {
  if (!isContainerError(error, 'engine-refused') || error.statusCode !== 404) return error;
  return new ContainerError('task-not-found', error.message, { cause: error, statusCode: 404 });
}
