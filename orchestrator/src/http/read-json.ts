import type { IncomingMessage } from 'node:http';
import { limits } from '@computefabric/protocol/limits';
import { AppError } from '@computefabric/runtime/errors';

/**
 * Reads a JSON body. Strict: the content type must say JSON, the bytes must be UTF-8 within the size limit,
 * the nesting within the depth limit. Compressed bodies are refused: a small one can unpack to a huge one.
 *
 * @throws AppError `request/unsupported-media-type`, `request/too-large`, `request/malformed-json`,
 *   `request/too-deep` or `request/invalid`.
 */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const type = (request.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new AppError('request/unsupported-media-type', { message: 'Send the body as application/json.' });
  }
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new AppError('request/unsupported-media-type', { message: 'Send the body without compression.' });
  }
  const value = parse(await readBytes(request, limits.jsonBodyBytes));
  refuseShape(value, limits.jsonDepth);
  return value;
}

/** Longest time in which a body that is held in memory must arrive, ms. */
const bodyMs = 30_000;

/**
 * A body's bytes, at most `maxBytes`.
 *
 * @throws AppError `request/too-large` as soon as it is known to be larger.
 */
export async function readBytes(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const tooLarge = () =>
    new AppError('request/too-large', { message: `The body is larger than ${maxBytes} bytes.` });
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  // A body that trickles in holds a connection and memory: cut it off. There is nobody patient to answer.
  const late = setTimeout(() => request.destroy(), bodyMs);
  try {
    return await collect(request, maxBytes, tooLarge);
  } finally {
    clearTimeout(late);
  }
}

/** By events and not by iteration, which costs as much as the rest of a small request. */
function collect(request: IncomingMessage, maxBytes: number, tooLarge: () => Error): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let total = 0;
    const settle = (outcome: () => void) => {
      // The rest is for whoever answers to throw away; an error that follows has been told already.
      request.off('data', onData).off('end', onEnd).off('error', onError).off('close', onClose);
      request.on('error', () => undefined);
      outcome();
    };
    const onData = (part: Buffer) => {
      total += part.byteLength;
      if (total > maxBytes) {
        request.pause();
        settle(() => reject(tooLarge()));
      } else parts.push(part);
    };
    const onEnd = () => {
      const [only] = parts;
      settle(() => resolve(only && parts.length === 1 ? only : Buffer.concat(parts, total)));
    };
    const onError = (error: Error) => settle(() => reject(error));
    const onClose = () => settle(() => reject(new Error('the request ended before its body')));
    if (request.destroyed) {
      onClose();
      return;
    }
    request.on('data', onData).on('end', onEnd).on('error', onError).on('close', onClose);
  });
}

/** How long a client may go on sending a body that nobody wants, ms. */
const discardMs = 10_000;

/**
 * Throws away what is left of a body. Closing at once would be shorter, but resets the connection of a client
 * that is still sending, before it has read the refusal.
 */
export function discardRest(request: IncomingMessage): void {
  if (request.complete) return;
  request.resume();
  const late = setTimeout(() => request.destroy(), discardMs);
  request.once('close', () => clearTimeout(late));
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(utf8.decode(bytes));
  } catch (thrown) {
    const reason = thrown instanceof SyntaxError ? positionOf(thrown) : 'the bytes are not UTF-8';
    throw new AppError('request/malformed-json', { message: `The body is not valid JSON: ${reason}.` });
  }
}

/** V8's message quotes the body, which may hold secrets: keep only what and where. */
function positionOf(error: SyntaxError): string {
  const position = /at position \d+(?: \(line \d+ column \d+\))?/.exec(error.message)?.[0];
  return position ? `it breaks off or has a mistake ${position}` : 'it is empty or breaks off';
}

/** Refuses what no honest body has: endless nesting, and the one name that objects treat as magic. */
function refuseShape(value: unknown, levels: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (levels === 0) {
    throw new AppError('request/too-deep', {
      message: `The body is nested more than ${limits.jsonDepth} levels deep.`,
    });
  }
  if (Object.hasOwn(value, '__proto__')) {
    throw new AppError('request/invalid', { message: 'The body must not have a field called __proto__.' });
  }
  for (const inner of Object.values(value)) refuseShape(inner, levels - 1);
}
