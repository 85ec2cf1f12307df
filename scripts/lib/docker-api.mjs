import { once } from 'node:events';
import { request } from 'node:http';

/**
 * The few calls of the Docker Engine API that start-up needs, with nothing but Node: they run before
 * any package is installed, and no `docker` command has to exist.
 *
 * @typedef {object} DockerReply
 * @property {number} status
 * @property {string} text Whole body.
 *
 * @typedef {object} CallOptions
 * @property {string} [method] GET when left out.
 * @property {number} deadlineSeconds Until the whole reply is there.
 * @property {number} [idleSeconds] Gives up when nothing arrives for this long.
 * @property {AsyncIterable<Uint8Array>} [body]
 * @property {string} [contentType]
 * @property {(event: Record<string, unknown>) => void} [onEvent] Each JSON line of a progress stream.
 * @property {AbortSignal} [signal]
 *
 * @param {string} host `unix:///path`, `tcp://host:port` or `http://host:port`.
 * @param {string} path Without a version: the engine then uses its newest.
 * @param {CallOptions} options
 * @returns {Promise<DockerReply>}
 * @throws when the engine cannot be reached or a deadline passes; a 4xx or 5xx is a reply.
 */
export function callDocker(host, path, options) {
  const { method = 'GET', deadlineSeconds, idleSeconds, body, contentType, onEvent, signal } = options;
  return new Promise((resolve, reject) => {
    const call = request({
      ...addressOf(host),
      path,
      method,
      headers: {
        host: 'docker',
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
        // Without a length Node sends chunks, which is what a stream of unknown size needs.
        ...(body === undefined ? { 'content-length': '0' } : {}),
      },
      signal: AbortSignal.any([
        AbortSignal.timeout(deadlineSeconds * 1000),
        ...(signal === undefined ? [] : [signal]),
      ]),
    });
    call.on('error', reject);
    if (idleSeconds !== undefined) {
      call.setTimeout(idleSeconds * 1000, () => call.destroy(new Error(`no answer for ${idleSeconds} s`)));
    }
    call.on('response', (response) => {
      let text = '';
      let line = '';
      response.setEncoding('utf8');
      response.on('data', (/** @type {string} */ chunk) => {
        text += chunk;
        if (onEvent === undefined) return;
        line += chunk;
        const lines = line.split('\n');
        line = lines.pop() ?? '';
        for (const whole of lines) if (whole.trim() !== '') onEvent(JSON.parse(whole));
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    if (body === undefined) call.end();
    else void send(body, call).catch((error) => call.destroy(error));
  });
}

/**
 * Does an engine answer here?
 * @param {string} host
 * @returns {Promise<{ version: string } | { problem: string, code: string | undefined }>}
 */
export async function pingDocker(host) {
  try {
    const reply = await callDocker(host, '/version', { deadlineSeconds: 5 });
    if (reply.status !== 200) return { problem: `it answers with HTTP ${reply.status}`, code: undefined };
    const { Version } = JSON.parse(reply.text);
    return { version: String(Version) };
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    return { problem: error instanceof Error ? error.message : String(error), code };
  }
}

/**
 * Writes a stream at the pace of the reader, so that a 100 MB image is never all in memory.
 * @param {AsyncIterable<Uint8Array>} body
 * @param {import('node:http').ClientRequest} call
 */
async function send(body, call) {
  for await (const chunk of body) {
    if (call.destroyed) return;
    // once() also ends when the call fails, so an engine that hangs up does not leave us waiting.
    if (!call.write(chunk)) await once(call, 'drain');
  }
  call.end();
}

/** @param {string} host */
function addressOf(host) {
  if (host.startsWith('unix://')) return { socketPath: host.slice('unix://'.length) };
  const url = new URL(host.replace(/^tcp:/, 'http:'));
  if (url.protocol !== 'http:') throw new Error(`DOCKER_HOST ${host} is not supported (unix:// or tcp://)`);
  return { host: url.hostname, port: Number(url.port || 2375) };
}
