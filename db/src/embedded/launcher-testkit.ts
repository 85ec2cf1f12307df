import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type pg from 'pg';
import { onTestFinished } from 'vitest';
import { removeEmbeddedPostgres } from '../embedded-postgres.ts';
import { withConnection } from '../one-connection.ts';

// What the tests of the launcher share: homes that are taken away again, starters in processes of their own,
// and a look at the operating system.

export const tsx: string = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
export const cli: string = fileURLToPath(new URL('../cli.ts', import.meta.url));
export const isRoot: boolean = process.getuid?.() === 0;

/**
 * A new directory that everybody may enter; its server is stopped and it is removed after the test. When the
 * test is killed, the next run's global setup knows the directory by its name and does the same.
 */
export async function newHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), `computefabric-test-${process.pid}-`));
  chmodSync(home, 0o755);
  onTestFinished(async () => {
    await removeEmbeddedPostgres({ home });
    rmSync(home, { recursive: true, force: true });
  });
  return home;
}

/** The end of a process. */
export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** The database program from its source, as another user when one is given. */
export function runCli(args: string[], identity?: { uid: number; gid: number }) {
  return runNode(['--import', tsx, cli, ...args], identity);
}

export function runNode(
  args: string[],
  identity: { uid?: number; gid?: number } = {},
): { child: ChildProcess; end: Promise<Finished> } {
  const child = spawn(process.execPath, args, { cwd: '/', timeout: 60_000, ...identity });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const end = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, end };
}

/** The process id of the running server. */
export function serverPid(dataDir: string): number {
  return Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
}

/** Command lines (with pid, parent and state) of living processes that name the data directory, children of its server included. */
export function processesOf(dataDir: string): string[] {
  const all = execFileSync('ps', ['-eo', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim());
  const pid = (line: string): string | undefined => line.split(/\s+/)[0];
  const parent = (line: string): string | undefined => line.split(/\s+/)[1];
  const servers = all.filter((line) => line.includes(` -D ${dataDir}`));
  const children = all.filter((line) => servers.some((server) => pid(server) === parent(line)));
  return [...servers, ...children].filter((line) => !line.split(/\s+/)[2]?.startsWith('Z'));
}

export async function query<Row extends pg.QueryResultRow>(
  url: string,
  text: string,
  values: unknown[] = [],
): Promise<Row[]> {
  return await withConnection(
    { connectionString: url },
    async (client) => (await client.query<Row>(text, values)).rows,
  );
}

/** Waits at most 20 seconds for a condition. */
export async function waitFor(condition: () => boolean): Promise<void> {
  await waitForAsync(async () => condition());
}

export async function waitForAsync(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`Waited 20 seconds in vain for ${condition.toString()}`);
    await delay(10);
  }
}
