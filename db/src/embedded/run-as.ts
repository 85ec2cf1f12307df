import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The OS identity a program runs under; null means "as ourselves". */
export interface OsIdentity {
  uid: number;
  gid: number;
}

export interface RunResult {
  /** Exit status, or null when the program was ended at its deadline. */
  code: number | null;
  /** stdout and stderr together. */
  output: string;
}

/**
 * Runs a program to its end, as another user when `identity` is given (needs root).
 *
 * Output goes to a file, never to a pipe: a server started by the program would inherit the pipe, and we
 * would wait for its end instead of the program's (measured with `pg_ctl start`). The environment is almost
 * empty because PGDATA, PGPORT and friends of the caller must not reach these programs.
 *
 * @param timeoutMs the program and its children are ended after this many milliseconds.
 * @throws Error when the program cannot be started at all.
 */
export async function runAs(
  identity: OsIdentity | null,
  file: string,
  args: readonly string[],
  timeoutMs: number,
): Promise<RunResult> {
  const outputFile = join(tmpdir(), `computefabric-run-${randomBytes(9).toString('hex')}`);
  const output = openSync(outputFile, 'wx+', 0o600);
  // Nameless from here on, so that nothing stays behind when we are killed.
  unlinkSync(outputFile);
  try {
    const code = await new Promise<number | null>((resolve, reject) => {
      const child = spawn(file, args, {
        // Its own group, so that the deadline also ends its children and Ctrl-C in the terminal does not.
        detached: true,
        stdio: ['ignore', output, output],
        cwd: '/',
        // NODE_ENV only because Next.js declares it as always present in an environment.
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C', NODE_ENV: 'production' },
        ...identity,
      });
      const timer = setTimeout(() => {
        if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
      }, timeoutMs);
      child.once('error', (error) => {
        clearTimeout(timer);
        reject(error);
      });
      child.once('exit', (status) => {
        clearTimeout(timer);
        resolve(status);
      });
    });
    return { code, output: readFromStart(output).trim() };
  } finally {
    closeSync(output);
  }
}

/** True when the identity may enter the directory (every directory above it lets it through). */
export async function canEnter(identity: OsIdentity | null, directory: string): Promise<boolean> {
  const result = await runAs(identity, '/bin/sh', ['-c', 'cd -- "$0"', directory], 10_000);
  return result.code === 0;
}

function readFromStart(file: number): string {
  const bytes = Buffer.alloc(fstatSync(file).size);
  const length = readSync(file, bytes, 0, bytes.length, 0);
  return bytes.toString('utf8', 0, length);
}
