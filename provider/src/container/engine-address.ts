/** Where a Docker engine listens, as the client library wants it. */
export type EngineAddress = { socketPath: string } | { host: string; port: number };

const DEFAULT_SOCKET = '/var/run/docker.sock';

/**
 * Reads a `DOCKER_HOST` value: `unix:///path`, `npipe:////./pipe/name`, `tcp://host:port`. Null is the usual socket.
 * Only plain connections: an engine on another machine would run tasks where this agent watches nothing.
 *
 * @throws Error that names the value
 */
export function parseEngineAddress(dockerHost: string | null): EngineAddress {
  if (dockerHost === null || dockerHost === '') return { socketPath: DEFAULT_SOCKET };
  const pipe = /^(?:unix|npipe):\/\/(.+)$/.exec(dockerHost);
  if (pipe?.[1] !== undefined) return { socketPath: pipe[1] };
  const tcp = /^(?:tcp|http):\/\/([^/:]+|\[[0-9a-fA-F:]+\])(?::(\d{1,5}))?\/?$/.exec(dockerHost);
  if (tcp?.[1] !== undefined) return { host: tcp[1].replace(/^\[|\]$/g, ''), port: Number(tcp[2] ?? 2375) };
  throw new Error(`DOCKER_HOST "${dockerHost}" is not supported: use unix:///path or tcp://host:port`);
}

/** For sentences: how a person would write the address. */
export function describeAddress(address: EngineAddress): string {
  return 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`;
}
