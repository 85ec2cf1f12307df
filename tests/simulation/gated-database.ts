import { schema, type Db } from '@computefabric/db/client';
import { drizzle } from 'drizzle-orm/node-postgres';
import pg from 'pg';
import { context, type Life, realNow, realPause, type VirtualTime } from './virtual-time.ts';

/** A statement of some task that waits at the gate, runs, or hangs on a lock. */
export interface Statement {
  order: number;
  life: Life;
  task: string;
  connection: Connection;
  text: string;
  state: 'parked' | 'running' | 'blocked';
  send: () => Promise<unknown>;
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
  outcome: { value: unknown } | { error: Error } | null;
}

/** One physical connection. Every session of the run is lent to one life at a time. */
interface Connection {
  index: number;
  client: pg.Client;
  pid: number;
  life: Life | null;
  inTransaction: boolean;
  /** The present transaction, or statement, has changed something. */
  wrote: boolean;
  signalled: boolean;
  /** Cut: everything that is still asked of it fails until it is given back. */
  broken: boolean;
  /** What `sim.now` of the session is set to. */
  clockMs: number;
  /** The beginning of a transaction that the server has not been told of. */
  begin: string[];
}

/** What a released statement came to. */
export interface Released {
  statement: Statement;
  /** What it did is now visible to others. */
  committed: { wrote: boolean; signalled: boolean } | null;
  error: Error | null;
}

export class DeadlockError extends Error {}

/** Real time; a database that does not answer for this long is a fault of the set-up, not a finding. */
const answerMs = 20_000;

/**
 * Stands between the programs and the real database. Every statement stops here until the scheduler of the
 * run lets it go, one at a time, so the order of the statements of concurrent transactions is the scheduler's
 * choice, locks and all: a statement that has to wait for a lock is recognised as waiting and the run goes on.
 * The database's `now()` is the run's clock, fixed in each transaction at its beginning as in the original.
 */
export class GatedDatabase {
  readonly #time: VirtualTime;
  readonly #connections: Connection[];
  readonly #monitor: pg.Client;
  readonly #statements: Statement[] = [];
  #order = 0;
  #wake: () => void = () => {};

  private constructor(time: VirtualTime, connections: Connection[], monitor: pg.Client) {
    this.#time = time;
    this.#connections = connections;
    this.#monitor = monitor;
  }

  /** The sessions outlive a run: `clients` are those of `openClients`. */
  static over(time: VirtualTime, clients: readonly SimClient[], monitor: pg.Client): GatedDatabase {
    const connections = clients.map(({ client, pid }, index) => ({
      index,
      client,
      pid,
      life: null,
      inTransaction: false,
      wrote: false,
      signalled: false,
      broken: false,
      clockMs: 0,
      begin: [],
    }));
    return new GatedDatabase(time, connections, monitor);
  }

  /** What a program of this life uses as its database. `isUp` false: the server takes no connection. */
  dbFor(life: Life, isUp: () => boolean): Db {
    // Never connected: only its type and its place in Drizzle are used.
    const pool = new pg.Pool({ max: 1 });
    const take = (): Connection => {
      if (!isUp()) throw new Error('connect ECONNREFUSED (simulated)');
      const free = this.#connections.find((connection) => connection.life === null);
      if (!free) throw new Error('no connection is left in the simulation');
      free.life = life;
      free.broken = false;
      return free;
    };
    const release = (connection: Connection) => {
      if (connection.life === life) connection.life = null;
    };
    Object.assign(pool, {
      connect: async () => {
        const connection = take();
        return {
          query: (config: pg.QueryConfig | string, values?: unknown[]) =>
            this.#park(life, connection, config, values),
          release: () => release(connection),
        };
      },
      query: async (config: pg.QueryConfig | string, values?: unknown[]) => {
        const connection = take();
        try {
          return await this.#park(life, connection, config, values);
        } finally {
          release(connection);
        }
      },
    });
    return drizzle({ client: pool, schema, casing: 'snake_case' });
  }

  /** Statements that could go on now, in the order in which they came. */
  parked(): Statement[] {
    return this.#statements.filter(({ state, life }) => state === 'parked' && life.state === 'running');
  }

  /** Statements of this life, parked or not. */
  statementsOf(life: Life): number {
    return this.#statements.filter((statement) => statement.life === life).length;
  }

  get busy(): boolean {
    return this.#statements.length > 0;
  }

  /**
   * Lets a statement go and waits until it has answered or hangs on a lock. Then the same for those that the
   * answer may have freed. What is returned has been decided but not told: `deliver` tells the task.
   */
  async release(statement: Statement): Promise<Released[]> {
    statement.state = 'running';
    void statement.send().then(
      (value) => {
        statement.outcome = { value };
        this.#wake();
      },
      (error: unknown) => {
        statement.outcome = { error: error instanceof Error ? error : new Error(String(error)) };
        this.#wake();
      },
    );
    const done: Released[] = [];
    for (;;) {
      await this.#settle();
      const ended = this.#statements.filter(({ outcome }) => outcome !== null);
      if (ended.length === 0) break;
      for (const one of ended) done.push(this.#finish(one));
      // What has ended may have freed others: look again until nothing moves.
      if (!this.#statements.some(({ state }) => state === 'blocked')) break;
    }
    return done;
  }

  /** Ends a statement without letting it go: its connection broke before it arrived. */
  async cut(statement: Statement): Promise<void> {
    this.#remove(statement);
    await this.#breakOff(statement.connection);
    tell(statement.life, () => statement.reject(connectionLost()));
  }

  /** Tells the task what its statement came to. `lost`: the answer never arrives, the connection is gone. */
  async deliver({ statement, error }: Released, lost = false): Promise<void> {
    if (statement.life.state === 'dead') return;
    if (lost) await this.#breakOff(statement.connection);
    tell(statement.life, () => {
      if (lost) statement.reject(connectionLost());
      else if (error) statement.reject(error);
      else if (statement.outcome && 'value' in statement.outcome) statement.resolve(statement.outcome.value);
    });
  }

  /** Breaks the connections of this life, or all: what is open rolls back, what waits fails. */
  async breakAll(life: Life | null): Promise<void> {
    const hit = this.#statements.filter((statement) => life === null || statement.life === life);
    for (const statement of hit) {
      if (statement.state !== 'parked') await this.#cancel(statement);
      this.#remove(statement);
    }
    for (const connection of this.#connections) {
      if (connection.life !== null && (life === null || connection.life === life))
        await this.#breakOff(connection);
    }
    for (const statement of hit) tell(statement.life, () => statement.reject(connectionLost()));
    // Those of others that hung on their locks can go on now; nobody else will look.
    await this.#settle();
  }

  /** The life has ended: its statements never answer and its sessions are free for others. */
  async abandon(life: Life): Promise<void> {
    await this.breakAll(life);
    for (const connection of this.#connections) if (connection.life === life) connection.life = null;
  }

  /** Statements that were freed by a broken connection have an outcome that nobody has looked at. */
  collect(): Released[] {
    return this.#statements.filter(({ outcome }) => outcome !== null).map((one) => this.#finish(one));
  }

  #park(
    life: Life,
    connection: Connection,
    config: pg.QueryConfig | string,
    values: unknown[] | undefined,
  ): Promise<unknown> {
    if (connection.broken || connection.life !== life) return Promise.reject(connectionLost());
    const text = typeof config === 'string' ? config : config.text;
    return new Promise((resolve, reject) => {
      this.#statements.push({
        order: this.#order++,
        life,
        task: context.getStore()?.task ?? life.name,
        connection,
        text,
        state: 'parked',
        send: () => this.#send(connection, config, values),
        resolve,
        reject,
        outcome: null,
      });
    });
  }

  async #send(connection: Connection, config: pg.QueryConfig | string, values?: unknown[]): Promise<unknown> {
    const text = typeof config === 'string' ? config : config.text;
    const now = this.#time.nowMs;
    const clock = `sim.now = '${new Date(now).toISOString()}'`;
    if (/^begin\b/i.test(text)) {
      // Nobody can see that a transaction has begun before its first statement, so both go in one message.
      connection.begin = [text, `set local ${clock}`];
      return null;
    }
    const { begin } = connection;
    connection.begin = [];
    if (/^(commit|rollback|savepoint|release)\b/i.test(text)) {
      if (begin.length > 0 && /^(commit|rollback)$/i.test(text)) return null;
      return await connection.client.query([...begin, text].join('; '));
    }
    if (connection.inTransaction) return await sendPrepared(connection.client, config, values, begin);
    if (connection.clockMs === now) return await sendPrepared(connection.client, config, values, []);
    connection.clockMs = Number.NaN; // an error takes back what was set with it
    const result = await sendPrepared(connection.client, config, values, [`set ${clock}`]);
    connection.clockMs = now;
    return result;
  }

  /** Waits until no statement runs any more: each has answered or is known to hang on a lock. */
  async #settle(): Promise<void> {
    const since = realNow();
    const alone = () => !this.#connections.some(({ inTransaction }) => inTransaction) && this.#flying() === 1;
    for (let round = 0; ; round += 1) {
      const open = this.#statements.filter(({ state, outcome }) => state !== 'parked' && outcome === null);
      if (open.length === 0) return;
      if (realNow() - since > answerMs) throw new Error(`no answer to: ${open[0]?.text}`);
      if (round === 0 || alone()) {
        await this.#answerOr(round === 0 ? 3 : 50);
        continue;
      }
      const blockers = await this.#blockers(open);
      // An answer may have come in while we asked.
      const unsure = open.filter(
        (statement) =>
          statement.outcome === null && (blockers.get(statement.connection.pid) ?? []).length === 0,
      );
      if (unsure.length > 0) {
        await this.#answerOr(1);
        continue;
      }
      for (const statement of open) if (statement.outcome === null) statement.state = 'blocked';
      if (open.some(({ outcome }) => outcome !== null)) continue;
      this.#refuseCircle(blockers);
      return;
    }
  }

  /** Until some statement has answered, at most `ms` of real time. */
  async #answerOr(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      void realPause(ms).then(resolve);
    });
  }

  #flying(): number {
    return this.#statements.filter(({ state, outcome }) => state !== 'parked' && outcome === null).length;
  }

  async #blockers(open: readonly Statement[]): Promise<Map<number, number[]>> {
    const pids = open.map(({ connection }) => connection.pid);
    const { rows } = await this.#monitor.query<{ pid: number; by: number[] }>(
      'select pid, pg_blocking_pids(pid) as by from unnest($1::int[]) as pid',
      [pids],
    );
    return new Map(rows.map(({ pid, by }) => [pid, by]));
  }

  #refuseCircle(blockers: ReadonlyMap<number, readonly number[]>): void {
    for (const start of blockers.keys()) {
      const seen = new Set<number>();
      const walk = (pid: number): boolean =>
        (blockers.get(pid) ?? []).some((by) => {
          if (by === start) return true;
          if (seen.has(by)) return false;
          seen.add(by);
          return walk(by);
        });
      if (!walk(start)) continue;
      const who = this.#statements
        .filter(({ state }) => state === 'blocked')
        .map(({ task, text }) => `${task}: ${text.slice(0, 160)}`);
      throw new DeadlockError(`transactions wait for each other in a circle: ${who.join(' | ')}`);
    }
  }

  #finish(statement: Statement): Released {
    this.#remove(statement);
    const { connection, text, outcome } = statement;
    const error = outcome && 'error' in outcome ? outcome.error : null;
    const word = /^\s*(\w+)/.exec(text)?.[1]?.toLowerCase() ?? '';
    // When a machine was last seen is of no interest, and written all the time.
    const wrote =
      ['insert', 'update', 'delete', 'with', 'merge'].includes(word) &&
      !/^update "?providers"?/i.test(text) &&
      !(word !== 'with' && changedNothing(outcome));
    const signalled = text.includes('pg_notify');
    if (word === 'begin' && !error) {
      connection.inTransaction = true;
      connection.wrote = false;
      connection.signalled = false;
      return { statement, committed: null, error };
    }
    if (connection.inTransaction && word !== 'commit' && word !== 'rollback') {
      connection.wrote ||= wrote;
      connection.signalled ||= signalled;
      return { statement, committed: null, error };
    }
    if (!connection.inTransaction) {
      return { statement, committed: error ? null : { wrote, signalled }, error };
    }
    // `rollback to savepoint` stays inside.
    if (/^rollback\s+to\b/i.test(text)) return { statement, committed: null, error };
    connection.inTransaction = false;
    const committed =
      word === 'commit' && !error ? { wrote: connection.wrote, signalled: connection.signalled } : null;
    return { statement, committed, error };
  }

  async #breakOff(connection: Connection): Promise<void> {
    connection.broken = true;
    connection.inTransaction = false;
    connection.begin = [];
    await connection.client.query('rollback; select pg_advisory_unlock_all()');
  }

  async #cancel(statement: Statement): Promise<void> {
    const since = realNow();
    while (statement.outcome === null) {
      if (realNow() - since > answerMs) throw new Error(`cannot be cancelled: ${statement.text}`);
      await this.#monitor.query('select pg_cancel_backend($1)', [statement.connection.pid]);
      await realPause(1);
    }
  }

  #remove(statement: Statement): void {
    const at = this.#statements.indexOf(statement);
    if (at >= 0) this.#statements.splice(at, 1);
  }
}

function changedNothing(outcome: Statement['outcome']): boolean {
  const value = outcome && 'value' in outcome ? outcome.value : null;
  return typeof value === 'object' && value !== null && 'rowCount' in value && value.rowCount === 0;
}

export interface SimClient {
  client: pg.Client;
  pid: number;
}

/** Each text has one name in all sessions, by which the server knows it already. */
const statementNames = new Map<string, string>();

/**
 * Sends a statement by the name under which the session has it prepared, after others in the same message: a
 * message costs more than what most statements do.
 */
function sendPrepared(
  client: pg.Client,
  config: pg.QueryConfig | string,
  values: unknown[] | undefined,
  before: readonly string[],
): Promise<unknown> {
  const given = typeof config === 'string' ? { text: config } : config;
  let name = statementNames.get(given.text);
  if (name === undefined) {
    name = `s${statementNames.size}`;
    statementNames.set(given.text, name);
  }
  const named = { ...given, name };
  return new Promise((resolve, reject) => {
    const query = new pg.Query(named, values ?? given.values ?? [], (error, result) => {
      if (error) reject(error);
      // Of several statements, one result each.
      else resolve(Array.isArray(result) ? result.at(-1) : result);
    });
    if (before.length > 0) {
      const submit = query.submit.bind(query);
      query.submit = (connection) => {
        connection.stream.cork();
        for (const text of before) {
          connection.parse({ name: '', text, types: [] }, true);
          connection.bind({}, true);
          connection.execute({}, true);
        }
        submit(connection);
        connection.stream.uncork();
      };
    }
    client.query(query);
  });
}

/** Answers reach a frozen process when it thaws, and a dead one never. */
function tell(life: Life, run: () => void): void {
  if (life.state === 'running') run();
  else if (life.state === 'frozen') life.held.push(run);
}

function connectionLost(): Error {
  return new Error('Connection terminated unexpectedly (simulated)');
}
