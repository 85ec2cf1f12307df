import { Agent, IncomingMessage } from 'node:http';
import { inspect } from 'node:util';
import { toError } from '@computefabric/runtime/errors';
import Docker from 'dockerode';
import { withEither } from '@computefabric/runtime/either-signal';
import { ContainerError } from './container-error.ts';
import { describeAddress, type EngineAddress } from './engine-address.ts';

/** How long the engine may take before it begins to answer a request for a stream. */
const OPEN_SECONDS = 20;

/**
 * The client library writes the options of every request into a text for its debug log, hidden properties and all,
 * also when nobody asks for that log. Our agent refers to every connection that is open: with a dozen tasks that was
 * two thirds of the processor time of the whole program (decision 0021).
 */
class OpaqueAgent extends Agent {
  [inspect.custom](): string {
    return 'Agent';
  }
}

/**
 * The connection to a Docker engine: the client library with a deadline on every request, and every failure as a
 * `ContainerError`. An answer of the engine that no caller has a name for is `engine-refused` with its status.
 */
export class DockerEngine {
  readonly client: Docker;
  readonly #address: EngineAddress;

  constructor(address: EngineAddress) {
    this.#address = address;
    const options = {
      // The library takes each of these from the environment unless it is named here.
      host: undefined,
      port: undefined,
      socketPath: undefined,
      timeout: undefined,
      protocol: 'http' as const,
      // A kept connection that an engine restart has closed would fail the next, innocent request.
      agent: new OpaqueAgent({ keepAlive: false }),
      ...address,
    };
    this.client = new Docker(options);
  }

  /** Sends one request and reads its whole answer, all inside `deadlineSeconds`. */
  async call<T>(
    what: string,
    deadlineSeconds: number,
    request: (client: Docker, signal: AbortSignal) => Promise<T>,
    outer?: AbortSignal,
  ): Promise<T> {
    const deadline = AbortSignal.timeout(deadlineSeconds * 1000);
    try {
      return await withEither(outer ? [deadline, outer] : [deadline], (signal) =>
        // Raced, because the library waits for ever when the engine dies in the middle of an answer.
        orAborted(request(this.client, signal), signal),
      );
    } catch (error) {
      if (outer?.aborted) throw new ContainerError('aborted', `${what}: stopped`, { cause: error });
      if (deadline.aborted) {
        const message = `${what}: the engine did not answer within ${deadlineSeconds} s`;
        throw new ContainerError('engine-timeout', message, { cause: error });
      }
      throw this.asContainerError(what, error);
    }
  }

  /**
   * Opens an answer that is read as it comes. Resolves when the engine has begun to answer; from then on only
   * `signal` and `destroy()` end it. The bodies of refusals are read here and thrown.
   */
  async open(
    what: string,
    request: { method: 'GET' | 'POST'; path: string; query: Record<string, string | number | boolean> },
    signal?: AbortSignal,
  ): Promise<IncomingMessage> {
    const ending = new AbortController();
    const end = () => ending.abort();
    const timer = setTimeout(end, OPEN_SECONDS * 1000);
    signal?.addEventListener('abort', end, { once: true });
    const unlink = () => signal?.removeEventListener('abort', end);
    try {
      if (signal?.aborted) end();
      const answer = await new Promise<unknown>((resolve, reject) => {
        this.client.modem.dial(
          {
            path: `${request.path}?`,
            method: request.method,
            options: { _query: request.query, _body: {} },
            isStream: true,
            statusCodes: { 200: true },
            abortSignal: ending.signal,
          },
          (error, result) => (error ? reject(error) : resolve(result)),
        );
      });
      if (!(answer instanceof IncomingMessage)) throw new Error('the client library gave no stream');
      // Whoever reads the stream gets its error thrown; until somebody reads, it must not end the process.
      answer.on('error', () => undefined);
      answer.once('close', unlink);
      return answer;
    } catch (error) {
      unlink();
      if (signal?.aborted) throw new ContainerError('aborted', `${what}: stopped`, { cause: error });
      if (ending.signal.aborted) {
        throw new ContainerError('engine-timeout', `${what}: no answer within ${OPEN_SECONDS} s`, {
          cause: error,
        });
      }
      throw this.asContainerError(what, error);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What went wrong, with a code: a refusal by the engine, or no engine at all. */
  asContainerError(what: string, thrown: unknown): ContainerError {
    if (thrown instanceof ContainerError) return thrown;
    const error = toError(thrown);
    const statusCode =
      'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : null;
    if (statusCode !== null) {
      // The library wraps the engine's sentence into its own.
      const sentence = error.message.replace(/^\(HTTP code \d+\) .*? - /s, '').trim();
      return new ContainerError('engine-refused', `${what}: ${sentence}`, { cause: error, statusCode });
    }
    return new ContainerError('engine-unreachable', `${what}: ${this.#whyUnreachable(error)}`, {
      cause: error,
    });
  }

  #whyUnreachable(error: Error): string {
    const where = describeAddress(this.#address);
    switch ('code' in error ? error.code : undefined) {
      case 'ENOENT':
        return `there is no Docker engine at ${where}; install Docker and start it`;
      case 'ECONNREFUSED':
        return `nobody answers at ${where}; start the Docker engine`;
      case 'EACCES':
      case 'EPERM':
        return `no permission to use ${where}; run the agent as a member of the "docker" group`;
      default:
        return `the connection to ${where} failed: ${error.message}`;
    }
  }
}

async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(toError(signal.reason));
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop) signal.removeEventListener('abort', stop);
  }
}
