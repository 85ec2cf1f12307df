import { spawn } from 'node:child_process';
import { closeSync, openSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { toError } from '@computefabric/runtime/errors';
import type { Logger } from '@computefabric/runtime/log';
import { pause } from '@computefabric/runtime/wait';
import type { AgentHome } from './home/agent-home.ts';
import { type LockOwner, readLock } from './home/home-lock.ts';
import { isProcessAlive, killIfAlive } from './home/process-identity.ts';

export interface GuardProcess {
  /** Resolves when the watchdog is there, or was found not to start; it is tried again, and programs run. */
  ready: Promise<void>;
  /** Ends the guard: its agent is leaving and has cleaned up. */
  stop(): Promise<void>;
}

interface GuardProcessOptions {
  home: AgentHome;
  env: Readonly<Record<string, string | undefined>>;
  log: Logger;
}

/** Settings that the guard reads. The join token is none of its business. */
const passedOn = ['PATH', 'HOME', 'TZ', 'PROVIDER_HOME', 'DOCKER_HOST', 'LOG_LEVEL'];
const lookEveryMs = 2_000;
const startMs = 10_000;
const logLimitBytes = 1_048_576;

/**
 * Starts the watchdog of this folder, in place of one that an earlier agent left, and starts it again whenever
 * it is gone. It is detached: it must outlive us.
 */
export function startGuard(options: GuardProcessOptions): GuardProcess {
  const { home, log } = options;
  const stopping = new AbortController();
  let setReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    setReady = resolve;
  });
  const watching = (async () => {
    await endGuard(await readLock(home.guardLock));
    for (let first = true; !stopping.signal.aborted; first = false) {
      const guard = await readLock(home.guardLock);
      if (!guard || !isProcessAlive(guard)) {
        if (!first) log.warn('the watchdog is gone; starting it again');
        await launch(options, stopping.signal);
      }
      setReady();
      await pause(lookEveryMs, stopping.signal);
    }
  })().catch((thrown: unknown) =>
    log.error({ err: toError(thrown) }, 'the watchdog is not watched any more'),
  );
  return {
    ready,
    stop: async () => {
      stopping.abort();
      await watching;
      await endGuard(await readLock(home.guardLock));
    },
  };
}

/** Starts the process and waits until it holds its lock. A guard that does not start is tried again later. */
async function launch({ home, env, log }: GuardProcessOptions, signal: AbortSignal): Promise<void> {
  const output = openSync(home.guardLog, isLong(home.guardLog) ? 'w' : 'a', 0o600);
  try {
    const { command, args } = guardCommand();
    const child = spawn(command, args, {
      detached: true,
      stdio: ['ignore', output, output],
      env: { ...Object.fromEntries(passedOn.map((name) => [name, env[name]])), PROVIDER_HOME: home.root },
    });
    child.on('error', (error) => log.error({ err: error }, 'the watchdog could not be started'));
    child.unref();
    const deadline = performance.now() + startMs;
    while (performance.now() < deadline && child.exitCode === null && !signal.aborted) {
      const guard = await readLock(home.guardLock);
      if (guard?.pid === child.pid) return;
      await pause(50);
    }
    // Before it holds its lock nobody else could end it.
    if (signal.aborted) child.kill('SIGKILL');
    else log.error({ log_file: home.guardLog, exit_code: child.exitCode }, 'the watchdog did not start');
  } finally {
    closeSync(output);
  }
}

/** The guard lies beside this program: bundled beside the bundle, from source beside the source. */
function guardCommand(): { command: string; args: string[] } {
  const source = import.meta.url.endsWith('.ts');
  const script = fileURLToPath(new URL(source ? './guard-main.ts' : './guard.mjs', import.meta.url));
  return { command: process.execPath, args: [...process.execArgv, script] };
}

async function endGuard(guard: LockOwner | null): Promise<void> {
  if (!guard) return;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!killIfAlive(guard, signal)) return;
    const deadline = performance.now() + 3_000;
    while (performance.now() < deadline && isProcessAlive(guard)) await pause(20);
  }
}

function isLong(path: string): boolean {
  return (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logLimitBytes;
}
