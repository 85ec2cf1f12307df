import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createDb } from '@computefabric/db/client';
import { dataDirectory, homeFiles } from '@computefabric/db/embedded/home';
import { isProcessAlive, processCommandLine } from '@computefabric/db/embedded/process-identity';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { migrateDatabase } from '@computefabric/db/migrate';
import { pause } from '@computefabric/runtime/wait';

/** The embedded PostgreSQL of a home, as something that can be killed and frozen. Durable as in production. */
export class ChaosDatabase {
  readonly #home: string;
  #url = '';
  #down = 0;

  private constructor(home: string) {
    this.#home = home;
  }

  static async start(home: string): Promise<ChaosDatabase> {
    const database = new ChaosDatabase(home);
    await database.startAgain();
    await migrateDatabase(database.url);
    return database;
  }

  /** Past every link of ours: for looking at the books. */
  get url(): string {
    return this.#url;
  }

  get port(): number {
    return Number(new URL(this.#url).port);
  }

  get running(): boolean {
    return this.#down === 0 && this.#postmaster() !== null;
  }

  async startAgain(): Promise<void> {
    this.#url = (await startEmbeddedPostgres({ home: this.#home })).url;
  }

  /** kill -9 of every process of the server, as in a crash of the machine, or of its parent alone. */
  async kill(how: 'server' | 'parent', forMs: number): Promise<boolean> {
    const all = this.#processes();
    const pids = how === 'server' ? all : all.slice(0, 1);
    if (this.#down > 0 || pids.length === 0) return false;
    this.#down += 1;
    for (const pid of pids) signal(pid, 'SIGKILL');
    await pause(forMs);
    await this.startAgain();
    this.#down -= 1;
    return true;
  }

  async freeze(forMs: number): Promise<boolean> {
    const pids = this.#processes();
    if (this.#down > 0 || pids.length === 0) return false;
    for (const pid of pids) signal(pid, 'SIGSTOP');
    await pause(forMs);
    for (const pid of pids) signal(pid, 'SIGCONT');
    return true;
  }

  async remove(): Promise<void> {
    for (const pid of this.#processes()) signal(pid, 'SIGCONT');
    await removeEmbeddedPostgres({ home: this.#home });
  }

  async query<T extends Record<string, unknown>>(text: string): Promise<T[]> {
    const { pool, close } = createDb(this.#url);
    try {
      return (await pool.query<T>(text)).rows;
    } finally {
      await close();
    }
  }

  #postmaster(): number | null {
    const directory = dataDirectory(homeFiles(this.#home));
    try {
      const pid = Number(readFileSync(join(directory, 'postmaster.pid'), 'utf8').split('\n')[0]);
      // The file survives a crash and its number may be somebody else's by then.
      const isOurs = isProcessAlive(pid) && processCommandLine(pid)?.includes(directory);
      return isOurs ? pid : null;
    } catch {
      return null; // No such file: it does not run.
    }
  }

  #processes(): number[] {
    const postmaster = this.#postmaster();
    if (postmaster === null) return [];
    const children = readdirSync('/proc').filter(
      (name) => /^\d+$/.test(name) && parentOf(name) === postmaster,
    );
    return [postmaster, ...children.map(Number)];
  }
}

function parentOf(pid: string): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null; // It has ended meanwhile.
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error; // ended by itself
  }
}
