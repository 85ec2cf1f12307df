import { createServer } from 'node:net';
import { StartError } from './start-error.mjs';

/**
 * A port from the environment.
 * @param {string} variable @param {number} normal Used when the variable is not set.
 * @returns {number}
 * @throws {StartError} when it is not a port.
 */
export function portFrom(variable, normal) {
  const text = process.env[variable] ?? '';
  if (text === '') return normal;
  const port = Number(text);
  if (Number.isInteger(port) && port > 0 && port < 65536) return port;
  throw new StartError(`${variable}=${text} is not a port (a whole number from 1 to 65535)`);
}

/**
 * Says which variable to set when a port is taken, with a free one to copy.
 * @param {{ variable: string, port: number, what: string }[]} ports
 * @returns {Promise<string | undefined>} undefined when all are free.
 */
export async function describeTakenPorts(ports) {
  const problems = [];
  for (const { variable, port, what } of ports) {
    const twin = ports.find((other) => other.variable !== variable && other.port === port);
    if (twin !== undefined) return `${variable} and ${twin.variable} are both ${port}; they must differ`;
    if (await isFree(port)) continue;
    let free = port + 1;
    while (free < 65535 && (ports.some((other) => other.port === free) || !(await isFree(free)))) free += 1;
    problems.push(`port ${port} (${what}) is taken; choose another: ${variable}=${free} npm start`);
  }
  return problems.length === 0 ? undefined : problems.join('\n');
}

/** @param {number} port @returns {Promise<boolean>} */
function isFree(port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
