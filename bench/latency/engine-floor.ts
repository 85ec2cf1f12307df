import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';

/** What the agent's container was made of, so that the floor makes the very same. */
export interface ContainerTemplate {
  Config: Record<string, unknown>;
  HostConfig: Record<string, unknown>;
}

/**
 * The Docker Engine API and nothing else: how long create, attach and start take until the first byte of the
 * program's output is here. Plain HTTP over kept connections, no client library.
 */
export class EngineFloor {
  readonly #socketPath: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(socketPath: string) {
    this.#socketPath = socketPath;
  }

  /** Settings of the container that runs with this label; null when there is none now. */
  async templateOf(label: string): Promise<ContainerTemplate | null> {
    const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
    const listed: { Id: string }[] = await this.#json('GET', `/containers/json?all=1&filters=${filters}`);
    if (!listed[0]) return null;
    const { Config, HostConfig }: ContainerTemplate = await this.#json(
      'GET',
      `/containers/${listed[0].Id}/json`,
    );
    // A network namespace of its own, made by this start: what anybody gets who asks the engine for this container.
    return { Config: { ...Config, Hostname: 'job' }, HostConfig: { ...HostConfig, NetworkMode: 'none' } };
  }

  /** Milliseconds until the first byte of output; the container is removed again. */
  async run({ Config, HostConfig }: ContainerTemplate, command: string[]): Promise<number> {
    const body = { ...Config, Entrypoint: command, Cmd: [], Labels: {}, HostConfig };
    const startedAt = performance.now();
    const { Id }: { Id: string } = await this.#json('POST', '/containers/create', body);
    try {
      const output = await this.#open('POST', `/containers/${Id}/attach?stream=1&stdout=1&stderr=1`);
      const first = once(output, 'data').then(() => performance.now());
      await this.#json('POST', `/containers/${Id}/start`);
      const ms = (await first) - startedAt;
      output.resume();
      await this.#json('POST', `/containers/${Id}/wait`);
      output.destroy();
      return ms;
    } finally {
      await this.#json('DELETE', `/containers/${Id}?force=1&v=1`);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await this.#open(method, path, body);
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part);
    const text = Buffer.concat(parts).toString('utf8');
    if ((response.statusCode ?? 500) >= 400)
      throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    return JSON.parse(text || '{}');
  }

  async #open(method: string, path: string, body?: unknown): Promise<IncomingMessage> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const call = request({
      socketPath: this.#socketPath,
      agent: this.#agent,
      method,
      path,
      headers: {
        host: 'docker',
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(text),
      },
    });
    call.end(text);
    const [response]: IncomingMessage[] = await once(call, 'response');
    if (!response) throw new Error('the engine did not answer');
    return response;
  }
}
