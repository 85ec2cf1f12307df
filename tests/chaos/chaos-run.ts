import { mkdirSync, rmSync } from 'node:fs';
import { ApiError } from '@computefabric/api-client/errors';
import { activeJobStates, jobMachine } from '@computefabric/protocol/job-state';
import { pause } from '@computefabric/runtime/wait';
import { until } from '../journeys/program.ts';
import { type ChaosJob, chaosJobs } from './chaos-jobs.ts';
import { canMount, type ChaosMarket, startChaosMarket } from './chaos-market.ts';
import { checkHistory, type Violation } from './check-history.ts';
import { planFaults } from './fault-plan.ts';
import { HistoryWriter, readHistory } from './history.ts';
import { recordOutcome } from './record-outcome.ts';
import { storm } from './storm.ts';

export interface ChaosOptions {
  seed: number;
  jobs: number;
  kills: number;
  orchestrators: number;
  providers: number;
  leaseTtlSeconds: number;
  meanGapMs: number;
  othersPerKill: number;
  /** Most that all of it may take; what is not final by then is a violation. */
  minutes: number;
  historyFile: string;
  orchestratorFile?: string;
  /** Ends the run early and takes everything down; what was written until then stays. */
  signal?: AbortSignal;
  say?: (line: string) => void;
}

export interface ChaosResult {
  seed: number;
  seconds: { storm: number; calm: number; all: number };
  kills: Record<string, number>;
  otherFaults: number;
  endedByThemselves: string[];
  tries: number;
  staleRefused: number;
  violations: Violation[];
}

/** Jobs that are under way at once: enough to keep every machine busy, few enough to spread over the storm. */
const inFlight = 60;
const submitters = 4;
const tellEveryMs = 30_000;

/** One seed: a market, a storm over its jobs, the calm after it, and the judgement of what was written down. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const say = options.say ?? (() => undefined);
  const startedAt = Date.now();
  const elapsed = () => Math.round((Date.now() - startedAt) / 100) / 10;
  const deadline = startedAt + options.minutes * 60_000;
  rmSync(options.historyFile, { force: true });
  const logs = options.historyFile.replace(/(\.jsonl)?$/, '-logs');
  rmSync(logs, { recursive: true, force: true });
  mkdirSync(logs, { recursive: true });
  const history = new HistoryWriter(options.historyFile);
  const { say: _say, signal, ...plain } = options;
  const isOver = () => signal?.aborted === true || Date.now() >= deadline;
  history.add({
    kind: 'run',
    at: startedAt,
    seed: options.seed,
    options: { ...plain, canFillDisk: canMount },
  });
  const market = await startChaosMarket({ ...options, history, logs });
  const jobIds = new Set<string>();
  let telling: NodeJS.Timeout | undefined;
  let result: Pick<ChaosResult, 'kills' | 'otherFaults' | 'seconds'>;
  try {
    say(`market up after ${elapsed()} s`);
    const jobs = chaosJobs(options.seed, options.jobs, market.image);
    const plan = planFaults({
      ...options,
      leaseTtlMs: options.leaseTtlSeconds * 1_000,
      canFillDisk: canMount,
    });
    const abort = new AbortController();
    signal?.addEventListener('abort', () => abort.abort(), { once: true });
    const timer = setTimeout(() => abort.abort(), Math.max(0, deadline - Date.now()) * 0.75);
    const renter = new Renter(market, history, jobIds, isOver);
    telling = setInterval(() => say(renter.line), tellEveryMs);
    const [weather] = await Promise.all([
      storm(market, plan, history, () => jobIds.size / options.jobs, abort.signal).then((done) => {
        say(`the storm is over after ${elapsed()} s: ${renter.line}`);
        return done;
      }),
      renter.submitAll(jobs),
    ]);
    clearTimeout(timer);
    const stormSeconds = elapsed();
    for (const machine of market.machines) machine.agent.start();
    for (const { daemon } of market.orchestrators) daemon.start();
    history.add({ kind: 'calm', at: Date.now() });
    await renter.untilAllFinal();
    if (!isOver()) await untilSettled(market, deadline);
    say(`everything is at rest after ${elapsed()} s`);
    signal?.throwIfAborted();
    await recordOutcome(market, history, [...jobIds]);
    result = {
      kills: weather.kills,
      otherFaults: weather.others,
      seconds: { storm: stormSeconds, calm: elapsed() - stormSeconds, all: 0 },
    };
  } finally {
    clearInterval(telling);
    const leaseIds = await market.database
      .query<{ id: string }>('select id from leases')
      .then((rows) => rows.map(({ id }) => id))
      .catch(() => []); // A database that does not answer has nothing to tell; the containers below show it.
    for (const failure of await market.close()) history.add({ kind: 'left-over', what: failure });
    for (const container of await market.containers(leaseIds))
      history.add({ kind: 'left-over', what: `container ${container.Id.slice(0, 12)}` });
    await market.removeContainers(leaseIds);
    history.add({ kind: 'end', at: Date.now() });
  }
  const lines = readHistory(options.historyFile);
  const calls = lines.filter((line) => line.kind === 'call');
  return {
    seed: options.seed,
    ...result,
    seconds: { ...result.seconds, all: elapsed() },
    endedByThemselves: lines.flatMap((line) =>
      line.kind === 'ended-by-itself' ? [`${line.program}: ${line.how}`] : [],
    ),
    tries: lines.filter((line) => line.kind === 'lease').length,
    staleRefused: calls.filter(({ status }) => status === 409).length,
    violations: checkHistory(lines),
  };
}

/** The run's time was over before an answer came: what is missing then is the checker's to find. */
const overrun = Symbol('overrun');

/** The renter, who knows nothing of the storm and repeats what was not answered. */
class Renter {
  readonly #market: ChaosMarket;
  readonly #history: HistoryWriter;
  readonly #jobIds: Set<string>;
  readonly #isOver: () => boolean;
  /** Last known state of every job that was not seen final. */
  readonly #open = new Map<string, string>();
  readonly #cancelling = new Set<Promise<void>>();
  #final = 0;

  constructor(market: ChaosMarket, history: HistoryWriter, jobIds: Set<string>, isOver: () => boolean) {
    this.#market = market;
    this.#history = history;
    this.#jobIds = jobIds;
    this.#isOver = isOver;
  }

  get line(): string {
    return `${this.#jobIds.size} jobs submitted, ${this.#final} final`;
  }

  /** Submits everything, a few at once, and looks on. */
  async submitAll(jobs: readonly ChaosJob[]): Promise<void> {
    const waiting = [...jobs];
    const submitter = async () => {
      for (let job = waiting.shift(); job && !this.#isOver(); job = waiting.shift()) {
        while (this.#open.size >= inFlight && !this.#isOver()) await pause(100);
        await this.#submit(job);
      }
    };
    let done = false;
    // Both are waited for together: a failure of one must not leave the other's unheard.
    await Promise.all([
      Promise.all(Array.from({ length: submitters }, submitter)).finally(() => {
        done = true;
      }),
      (async () => {
        while (!done) await this.#look();
      })(),
    ]);
  }

  async untilAllFinal(): Promise<void> {
    await Promise.all(this.#cancelling);
    while (this.#open.size > 0 && !this.#isOver()) await this.#look();
  }

  async #submit(job: ChaosJob): Promise<void> {
    const { client } = this.#market;
    const created = await this.#insist(() => client.jobs.create(job.spec, { idempotencyKey: job.key }));
    if (created === overrun) return; // In the tables it may be, and the checker finds it there.
    const { id } = created;
    this.#history.add({ kind: 'submitted', at: Date.now(), key: job.key, jobId: id, expect: job.expect });
    this.#jobIds.add(id);
    this.#open.set(id, '');
    if (job.cancelAfterMs !== null) this.#cancelLater(id, job.cancelAfterMs);
  }

  /** Looks at all jobs that were not final; notes what has changed. */
  async #look(): Promise<void> {
    const active = new Map<string, string>();
    const state = [...activeJobStates];
    const page = await this.#insist(() => this.#market.client.jobs.list({ state, limit: 200 }));
    if (page === overrun) return;
    for (const job of page.items) active.set(job.id, job.state);
    for (const [id, before] of this.#open) {
      const now = active.get(id) ?? (await this.#stateOf(id));
      if (now === before || now === null) continue;
      this.#history.add({ kind: 'seen', at: Date.now(), jobId: id, state: now });
      if (isFinal(now)) {
        this.#open.delete(id);
        this.#final += 1;
      } else this.#open.set(id, now);
    }
    await pause(500);
  }

  async #stateOf(id: string): Promise<string | null> {
    const job = await this.#insist(() => this.#market.client.jobs.get(id));
    return job === overrun ? null : job.state;
  }

  #cancelLater(id: string, afterMs: number): void {
    const cancelling = pause(afterMs).then(async () => {
      await this.#insist(async () => {
        try {
          return await this.#market.client.jobs.cancel(id);
        } catch (error) {
          if (error instanceof ApiError && error.code === 'job/already-final') return null;
          throw error;
        }
      });
    });
    this.#cancelling.add(cancelling);
    void cancelling.finally(() => this.#cancelling.delete(cancelling));
  }

  /**
   * Asks until it is answered, or the run's time is over. Only a refusal is an answer, and none of ours deserves
   * one.
   */
  async #insist<T>(ask: () => Promise<T>): Promise<T | typeof overrun> {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (error instanceof ApiError && error.status < 500 && error.status !== 429) throw error;
        if (this.#isOver()) return overrun;
        await pause(200);
      }
    }
  }
}

function isFinal(state: string): boolean {
  return jobMachine.states.some((known) => known === state && jobMachine.isTerminal(known));
}

/** Bills settled, tries released, containers gone: all of it without anybody's help. */
async function untilSettled(market: ChaosMarket, deadline: number): Promise<void> {
  const seconds = Math.max(5, (deadline - Date.now()) / 1_000);
  await until('bills and clean-ups', seconds, async () => {
    const [open] = await market.database.query<{ n: number }>(
      `select ((select count(*) from payments where state = 'pending')
        + (select count(*) from leases where state in ('offered', 'active', 'silent', 'releasing')))::int as n`,
    );
    if (open?.n !== 0) return false;
    const leases = await market.database.query<{ id: string }>('select id from leases');
    return (await market.containers(leases.map(({ id }) => id))).length === 0;
  }).catch(() => undefined); // What is not at rest by then is in the tables, and the checker names it.
}
