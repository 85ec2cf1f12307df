import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { callDocker } from '../../scripts/lib/docker-api.mjs';
import { sharedEngineDir } from '../../scripts/lib/engine-users.mjs';
import { findProgram } from '../../scripts/lib/find-program.mjs';
import { startDockerd } from '../../scripts/lib/start-dockerd.mjs';
import { until } from './program.ts';

/** Whether an engine can be started beside the machine's own, which takes root. */
export const canStartEngines = process.getuid?.() === 0 && findProgram('dockerd') !== undefined;

const step = {
  detail: () => {},
  note: () => {},
  done: () => {},
  skip: () => {},
  warn: () => {},
  fail: () => {},
};

/**
 * A Docker engine of a test's own, to be killed: its own folders, its own containerd, and a network namespace of its
 * own, because an engine that is told to use no bridge takes away the one that it finds.
 */
export class OwnEngine {
  readonly host: string;
  readonly #folder: string;
  readonly #place: { socket: string; args: string[]; launcher: string[] };
  #pid: number | null = null;

  /**
   * @param keepsContainers whether containers live on while the engine is away (`live-restore`)
   * @param settings what its `daemon.json` holds
   */
  constructor({ keepsContainers, settings = {} }: { keepsContainers: boolean; settings?: object }) {
    this.#folder = mkdtempSync(join(tmpdir(), 'computefabric-own-engine-'));
    const socket = join(this.#folder, 'docker.sock');
    this.host = `unix://${socket}`;
    const at = (name: string) => join(this.#folder, name);
    writeFileSync(at('settings.json'), JSON.stringify(settings)); // not those of the machine's own engine
    this.#place = {
      socket,
      args: [
        '-H',
        this.host,
        `--pidfile=${at('pid')}`,
        `--data-root=${at('data')}`,
        `--exec-root=${at('exec')}`,
        `--config-file=${at('settings.json')}`,
        '--bridge=none',
        '--iptables=false',
        ...(keepsContainers ? ['--live-restore'] : []),
      ],
      launcher: ['unshare', '--net'],
    };
  }

  async start(): Promise<void> {
    const started = await startDockerd(this.#place, step);
    if (!started.ok)
      throw new Error(`${started.reason}: ${readFileSync(started.logFile, 'utf8').slice(-2_000)}`);
    this.#pid = started.pid;
  }

  /** kill -9, as when it crashes; the containerd that it started goes with it. */
  async kill(): Promise<void> {
    const pid = this.#pid;
    if (pid === null) throw new Error('the engine does not run');
    process.kill(pid, 'SIGKILL');
    await until('the engine to be gone', 10, () => Promise.resolve(!this.#processes().includes(pid)));
    this.#pid = null;
    // Where nobody reaps orphans, as in many a container, the next engine would take their numbers for the living.
    for (const file of ['pid', 'exec/containerd/containerd.pid'])
      rmSync(join(this.#folder, file), { force: true });
  }

  /** Ends it with everything that it has. */
  async close(): Promise<void> {
    if (this.#pid !== null) {
      const reply = await callDocker(this.host, '/containers/json?all=1', { deadlineSeconds: 10 });
      const containers: { Id: string }[] = JSON.parse(reply.text);
      for (const { Id } of containers)
        await callDocker(this.host, `/containers/${Id}?force=1&v=1`, {
          method: 'DELETE',
          deadlineSeconds: 30,
        });
      process.kill(this.#pid, 'SIGTERM');
    }
    await until('nothing of the engine to run', 30, () => {
      const left = this.#processes();
      // A shim whose engine was gone before it was told to end: nobody else would.
      const isGone = this.#pid === null || !left.includes(this.#pid);
      if (isGone) for (const pid of left) process.kill(pid, 'SIGKILL');
      return Promise.resolve(left.length === 0);
    });
    this.#pid = null;
    const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
    for (const line of mounts.toReversed()) {
      const target = line.split(' ')[1];
      if (target?.startsWith(this.#folder)) spawnSync('umount', [target]);
    }
    rmSync(sharedEngineDir(this.#place.socket), { recursive: true, force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** The engine, its containerd and the shims of its containers: all name the folder. */
  #processes(): number[] {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .filter((pid) => {
        try {
          return /dockerd|containerd/.test(commandLine(pid)) && commandLine(pid).includes(this.#folder);
        } catch {
          return false; // It has ended meanwhile.
        }
      })
      .map(Number);
  }
}

function commandLine(pid: string): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
}
