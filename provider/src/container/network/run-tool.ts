import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';

const DEADLINE_MS = 10_000;
/** Where firewall and network tools are, which the PATH of a service may lack. */
const TOOL_PATH = '/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin';

/** A program of the system did not do what it was asked. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** Runs a program of the system and gives what it printed. Never a shell, unless the caller names one. */
export async function runTool(
  command: string,
  args: readonly string[],
  input = '',
  deadlineMs = DEADLINE_MS,
): Promise<string> {
  const child = spawn(command, args, {
    env: { PATH: TOOL_PATH, LC_ALL: 'C', NODE_ENV: 'production' },
    stdio: ['pipe', 'pipe', 'pipe'],
    timeout: deadlineMs,
    killSignal: 'SIGKILL',
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', (error) => reject(new ToolError(`${command}: ${error.message}`, { cause: error })));
    child.on('close', resolve);
  });
  child.stdin.on('error', () => undefined); // It ended without reading: its exit code says why.
  child.stdin.end(input);
  const [code, out, problem] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code === 0) return out;
  throw new ToolError(`${command} ${args.join(' ')}: ${problem.trim().slice(0, 500) || `exit code ${code}`}`);
}
