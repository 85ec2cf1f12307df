import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { fileURLToPath } from 'node:url';
import { pause, withDeadline } from '@computefabric/runtime/wait';
import { waitUntil } from './wait-until.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** The orchestrator as a process of its own, as people start it. */
export interface OrchestratorProcess {
  child: ChildProcess;
  /** Everything it has written to standard output and standard error. */
  output(): string;
  /** Resident memory after it has collected its garbage, bytes. */
  residentBytes(): Promise<number>;
  /** Resolves with the exit code, or the signal that ended it. */
  ended: Promise<number | string>;
  /** Asks it to stop and waits until it has. */
  stop(signal?: NodeJS.Signals): Promise<number | string>;
}

/** Lets a test ask the process to collect its garbage: what is still there afterwards is what it holds. */
const collectOnSignal = `data:text/javascript,process.on('SIGUSR2', () => { gc(); gc(); })`;

export function spawnOrchestrator(env: Record<string, string>): OrchestratorProcess {
  const options = ['--expose-gc', '--import', collectOnSignal, '--import', 'tsx'];
  const child = spawn(process.execPath, [...options, main], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  const collect = (bytes: Buffer) => {
    text += bytes.toString('utf8');
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const ended = once(child, 'close').then(([code, signal]) => (code as number | null) ?? (signal as string));
  return {
    child,
    output: () => text,
    ended,
    async residentBytes() {
      child.kill('SIGUSR2');
      // Nothing tells when it is done and the kernel has its pages back: wait until the number stands still.
      let last = Number.NaN;
      return await waitUntil('its memory stands still', async () => {
        await pause(100);
        const status = await readFile(`/proc/${child.pid}/status`, 'utf8');
        const bytes = Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1_024;
        const still = bytes === last;
        last = bytes;
        return still && bytes;
      });
    },
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      try {
        return await withDeadline(ended, 60_000, 'stopping the orchestrator');
      } finally {
        child.kill('SIGKILL');
      }
    },
  };
}

/** A port that nobody has just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until the orchestrator at `url` says that it is ready. */
export async function untilReady(url: string, process: OrchestratorProcess): Promise<void> {
  await waitUntil(
    `${url} is ready`,
    async () => {
      if (process.child.exitCode !== null) throw new Error(`it ended: ${process.output()}`);
      const answer = await fetch(`${url}/readyz`).catch(() => null); // not listening yet
      return answer?.status === 200;
    },
    60_000,
  );
}
