import { connect } from 'node:net';
import { toError } from '@computefabric/runtime/errors';
import {
  type ControlAnswer,
  controlAnswer,
  type ControlRequest,
  mostAnswerBytes,
  mostSocketPathBytes,
} from './control-protocol.ts';

/** The agent could not be asked; the message says what the owner can do. */
export class AgentUnreachableError extends Error {
  override readonly name = 'AgentUnreachableError';
}

/**
 * Asks the agent that works in a folder.
 *
 * @throws AgentUnreachableError when none does, or it does not answer in time
 */
export async function askAgent(
  { path, home, deadlineMs = 15_000 }: { path: string; home: string; deadlineMs?: number },
  request: ControlRequest,
): Promise<ControlAnswer> {
  if (Buffer.byteLength(path) > mostSocketPathBytes)
    throw new AgentUnreachableError(
      `${home} is too long a path for commands: give the agent a shorter PROVIDER_HOME.`,
    );
  let text: string;
  try {
    text = await exchange(path, `${JSON.stringify(request)}\n`, deadlineMs);
  } catch (thrown) {
    throw new AgentUnreachableError(inWords(toError(thrown), home), { cause: thrown });
  }
  try {
    return controlAnswer.parse(JSON.parse(text));
  } catch (thrown) {
    throw new AgentUnreachableError(
      `The agent in ${home} gave no answer that can be read: is it stopping, or another version than this command?`,
      { cause: thrown },
    );
  }
}

function exchange(path: string, line: string, deadlineMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const socket = connect(path);
    const late = setTimeout(() => socket.destroy(new Error(`no answer in ${deadlineMs} ms`)), deadlineMs);
    socket.once('connect', () => socket.write(line));
    socket.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > mostAnswerBytes) socket.destroy(new Error('the answer has no end'));
    });
    socket.once('error', reject);
    socket.once('close', () => {
      clearTimeout(late);
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
  });
}

function inWords(error: Error, home: string): string {
  const code = 'code' in error ? error.code : '';
  if (code === 'ENOENT' || code === 'ECONNREFUSED')
    return `No agent runs in ${home}. Start it, or name the folder of the one that runs: --home, or PROVIDER_HOME.`;
  if (code === 'EACCES' || code === 'EPERM')
    return `The agent in ${home} is another user's: run this as that user, or as root.`;
  return `The agent in ${home} cannot be asked: ${error.message}`;
}
