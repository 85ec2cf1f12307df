import { createHash } from 'node:crypto';
import type { CheckpointManifest } from '@computefabric/protocol/provider-api/v1/checkpoints';
import type { ReportedEndReason } from '@computefabric/protocol/end-reason';
import { reportedEndReasons } from '@computefabric/protocol/end-reason';
import type { LeaseId, ProviderId } from '@computefabric/protocol/ids';
import type { TaskState } from '@computefabric/protocol/lease-state';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import type { TaskSpec, Verdict } from '@computefabric/protocol/provider-api/v1/session';
import { AppError } from '@computefabric/runtime/errors';
import { readStateManifest } from '../../orchestrator/src/checkpoints/read-state.ts';
import { beginCheckpoint, commitCheckpoint } from '../../orchestrator/src/checkpoints/save-checkpoint.ts';
import { emptyMachine } from '../../orchestrator/src/leases/move-tries.ts';
import type { LeaseClaim } from '../../orchestrator/src/leases/lease.store.ts';
import {
  acceptLease,
  acceptLeases,
  exitLease,
  rejectLease,
  releaseClaimedLease,
  reportEnd,
  startLease,
  startLeaseAtOnce,
} from '../../orchestrator/src/leases/report-lease.ts';
import { reviveLease } from '../../orchestrator/src/leases/silent-lease.ts';
import { findClaimStandings } from '../../orchestrator/src/leases/silent-lease.store.ts';
import { leaveMarket, touchSession } from '../../orchestrator/src/providers/provider.store.ts';
import { openProviderSession } from '../../orchestrator/src/sessions/open-session.ts';
import { lookForMany, pollOffers } from '../../orchestrator/src/sessions/poll-offers.ts';
import { recordHeartbeat } from '../../orchestrator/src/sessions/record-heartbeat.ts';
import type { Deps, Orchestrators, Reply } from './orchestrators.ts';
import type { Life } from './virtual-time.ts';
import type { World } from './world.ts';

/** How far a try has come, as the machine's journal has it. */
type Stage =
  | 'accepting'
  | 'preparing'
  | 'starting'
  | 'running'
  | 'exiting'
  | 'saving'
  | 'ending'
  | 'releasing'
  | 'done';

interface Task {
  spec: TaskSpec;
  stage: Stage;
  /** When the program would end by itself, ms on the world's clock; null before it runs. */
  runsUntil: number | null;
  stop: boolean;
  /** The orchestrator said that it is no longer ours: nothing more is reported. */
  gone: boolean;
  exitCode: number | null;
  /** Of the program's work, what is done, ms: it begins with what was put back. */
  doneMs: number;
  wake: () => void;
}

/** What jobs of a run ask their program to do; told in its environment. */
export interface Program {
  SIM_RUNS_MS: string;
  SIM_EXIT_CODE: string;
  SIM_FATE: 'runs' | 'image-unavailable' | 'start-failed' | 'provider-error' | 'out-of-memory';
}

/** What a program has left to do at most when the storm is over, ms. */
const leftInCalmMs = 2_000;

/** Calls about a try, by name. A repeat, or what is looked at closely, goes the longer way, as in the routes. */
const reports = {
  accept: async (deps: Deps, claim: ClaimInSession) => {
    if (!(await acceptLeases(deps, [claim]))[0]) await acceptLease(deps, await claimOf(deps, claim));
  },
  reject: async (deps: Deps, claim: ClaimInSession) =>
    await rejectLease(deps, await claimOf(deps, claim), 'the owner plays a game'),
  started: async (deps: Deps, claim: ClaimInSession) => {
    if (!(await startLeaseAtOnce(deps, claim, 'sha256:sim')))
      await startLease(deps, await claimOf(deps, claim), 'sha256:sim');
  },
  exited: async (deps: Deps, claim: ClaimInSession, end: End) =>
    await exitLease(deps, await claimOf(deps, claim), end.exitCode),
  ended: async (deps: Deps, claim: ClaimInSession, end: End) => {
    await reportEnd(deps, await claimOf(deps, claim), {
      reason: end.reason,
      detail: null,
      exit_code: end.exitCode,
      log_chunks: 0,
    });
  },
  released: async (deps: Deps, claim: ClaimInSession) =>
    await releaseClaimedLease(deps, await claimOf(deps, claim)),
} as const;
type ReportName = keyof typeof reports;
const reportNames = Object.keys(reports) as ReportName[];

type ClaimInSession = LeaseClaim & { session: number };

/** As the routes do it: an older process of the machine is refused, and whoever speaks is no longer silent. */
async function claimOf(deps: Deps, { session, ...claim }: ClaimInSession): Promise<LeaseClaim> {
  const [standing] = await findClaimStandings(deps.db, [claim]);
  if (standing?.session !== session) throw new AppError('provider/session-stale');
  if (standing.unheardOf) await reviveLease(deps, claim);
  return claim;
}

interface End {
  reason: ReportedEndReason;
  exitCode: number | null;
}

const taskStates: Record<Stage, TaskState> = {
  accepting: 'received',
  preparing: 'pulling',
  starting: 'creating',
  running: 'running',
  exiting: 'saving',
  saving: 'saving',
  ending: 'saving',
  releasing: 'reported',
  done: 'reported',
};

/** A saved state: no bytes, and how far the program had come in the name of its only file. */
function manifestOf(doneMs: number): CheckpointManifest {
  const file = { path: `done-${Math.round(doneMs)}`, mode: 0o644, uid: 0, gid: 0, mtime_seconds: 0 };
  return { version: 1, folders: [], files: [{ ...file, size_bytes: 0, chunks: [] }], links: [] };
}

function doneIn(manifest: string): number {
  return Number(/done-(\d+)/.exec(manifest)?.[1] ?? '0');
}

/**
 * A machine as the market sees it: the calls of the agent over the run's network, a journal that outlives the
 * process, and no containers. It can die, freeze, forget and lie.
 */
export class SimAgent {
  readonly providerId: ProviderId;
  readonly name: string;
  readonly #world: World;
  readonly #market: Orchestrators;
  readonly inventory: Inventory;
  /** On disk: survives the process. */
  #journal = new Map<LeaseId, Task>();
  /** Every try that it ever had; a ghost may still speak of one. */
  readonly #past: { leaseId: LeaseId; fence: number }[] = [];
  life: Life | null = null;
  /** This process has said that it takes no more work: it has to end, and another one to come. */
  isLeaving = false;
  #session = 0;
  #lives = 0;

  constructor(
    world: World,
    market: Orchestrators,
    machine: { providerId: ProviderId; name: string; inventory: Inventory },
  ) {
    this.#world = world;
    this.#market = market;
    this.providerId = machine.providerId;
    this.name = machine.name;
    this.inventory = machine.inventory;
  }

  /** Starts the process, unless it runs. `forget`: its disk is empty. */
  startUp(forget = false): void {
    if (this.life) return;
    if (forget) this.#journal.clear();
    this.isLeaving = false;
    this.#lives += 1;
    const life = this.#world.newLife(`${this.name}.${this.#lives}`);
    this.life = life;
    this.#world.say(`${life.name} starts${forget ? ' and has forgotten everything' : ''}`);
    this.#world.start(life, 'main', async () => {
      await this.#hello();
      this.#world.start(life, 'heartbeat', () => this.#heartbeats());
      this.#world.start(life, 'poll', () => this.#polls());
      for (const task of this.#journal.values()) this.#go(life, task);
    });
  }

  /** Says that it takes no more work, or that it leaves, as far as anybody hears it. */
  sayGoodbye(): void {
    const { life } = this;
    if (life?.state !== 'running') return;
    this.isLeaving = true;
    const leaving = this.#world.random.chance(0.5);
    const session = this.#session;
    this.#world.say(`${life.name} says goodbye${leaving ? ' and leaves' : ''}`);
    this.#world.start(life, 'goodbye', async () => {
      await this.#market.call('goodbye', async (deps) => {
        const left = await deps.db.transaction((tx) => leaveMarket(tx, this.providerId, session, leaving));
        if (!left) throw new AppError('provider/session-stale');
        if (!leaving) await emptyMachine(deps, this.providerId);
      });
    });
  }

  /** The storm is over: programs that run have little left to do, so that what follows is soon over as well. */
  hurry(): void {
    for (const task of this.#journal.values()) task.wake();
  }

  async kill(): Promise<void> {
    const { life } = this;
    if (!life) return;
    this.#world.say(`${life.name} is killed`);
    this.life = null;
    await this.#world.kill(life);
  }

  async #hello(): Promise<void> {
    for (;;) {
      const tasks = [...this.#journal.values()]
        .filter(({ stage }) => stage !== 'accepting' && stage !== 'done')
        .map(({ spec, stage }) => ({
          lease_id: spec.lease_id,
          fence: spec.fence,
          task_state: taskStates[stage],
        }));
      const reply = await this.#market.call('hello', (deps) =>
        openProviderSession(deps, this.providerId, { agent_version: '1', inventory: this.inventory, tasks }),
      );
      if (reply.ok) {
        this.#session = reply.value.session;
        this.#hear(reply.value.tasks);
        return;
      }
      await this.#world.time.sleep(1_000);
    }
  }

  async #heartbeats(): Promise<void> {
    for (;;) {
      await this.#world.time.sleep(
        this.#world.terms.heartbeatSeconds * (700 + this.#world.random.between(0, 300)),
      );
      await this.#heartbeat();
    }
  }

  async #heartbeat(): Promise<void> {
    const session = this.#session;
    const tasks = [...this.#journal.values()]
      .filter(({ stage }) => stage !== 'accepting' && stage !== 'done')
      .map(({ spec, stage }) => ({
        lease_id: spec.lease_id,
        fence: spec.fence,
        task_state: taskStates[stage],
        progress: null,
      }));
    const reply = await this.#market.call('heartbeat', async (deps) => {
      await this.#requireSession(deps, session);
      return await recordHeartbeat(deps, this.providerId, tasks);
    });
    if (reply.ok) this.#hear(reply.value);
    else if (reply.code === 'provider/session-stale' && session === this.#session) await this.#hello();
  }

  async #polls(): Promise<void> {
    for (;;) {
      const session = this.#session;
      const reply = await this.#market.call(
        'poll',
        async (deps) => {
          await this.#requireSession(deps, session);
          const look = async (id: ProviderId) =>
            (await lookForMany(deps, [id]))[0] ?? { offers: [], nudge: false };
          return await pollOffers(
            { ...deps, look, told: { offers: deps.told, session } },
            this.providerId,
            25,
            new AbortController().signal,
          );
        },
        25_000,
      );
      if (!reply.ok) {
        await this.#world.time.sleep(500 + this.#world.random.between(0, 500));
        continue;
      }
      if (reply.value.nudge) await this.#heartbeat();
      let news = 0;
      for (const spec of reply.value.offers) if (this.#take(spec)) news += 1;
      // Offers that are being accepted stay in the answer until they are.
      if (news === 0) await this.#world.time.sleep(500);
    }
  }

  #take(spec: TaskSpec): boolean {
    if (this.#journal.has(spec.lease_id) || !this.life) return false;
    const task: Task = {
      spec,
      stage: 'accepting',
      runsUntil: null,
      stop: false,
      gone: false,
      exitCode: null,
      doneMs: 0,
      wake: () => {},
    };
    this.#journal.set(spec.lease_id, task);
    this.#past.push({ leaseId: spec.lease_id, fence: spec.fence });
    this.#go(this.life, task);
    return true;
  }

  #go(life: Life, task: Task): void {
    this.#world.start(life, `try${task.spec.attempt}`, async () => {
      await this.#runTask(task);
      task.stage = 'done';
      this.#journal.delete(task.spec.lease_id);
    });
  }

  /** One try from its offer to its end, from whatever stage the journal names. */
  async #runTask(task: Task): Promise<void> {
    const { random, time } = this.#world;
    const program = task.spec.env;
    const fate = program.SIM_FATE ?? 'runs';
    if (task.stage === 'accepting') {
      if (random.chance(this.#world.weather.lie / 2)) return; // ignored: the offer runs out
      if (random.chance(this.#world.weather.lie)) {
        await this.#report('reject', task);
        return;
      }
      if (!(await this.#report('accept', task))) return;
      task.stage = 'preparing';
    }
    let end: End | null = null;
    if (task.stage === 'preparing') {
      await this.#waitFor(task, random.between(50, 6_000));
      if (task.gone) return;
      if (task.stop) end = { reason: 'cancelled', exitCode: null };
      else if (fate !== 'runs' && fate !== 'out-of-memory') {
        // A broken machine, not a broken job: the next one runs it.
        const passes = fate === 'provider-error' && task.spec.attempt > 2;
        if (!passes)
          end = {
            reason: fate === 'image-unavailable' || fate === 'start-failed' ? fate : 'provider-error',
            exitCode: null,
          };
      }
      task.stage = end ? 'ending' : 'starting';
    }
    if (task.stage === 'starting') {
      if (task.spec.resumed && !(await this.#restore(task))) return;
      if (!(await this.#report('started', task))) return;
      task.runsUntil = time.nowMs + Math.max(0, Number(program.SIM_RUNS_MS ?? '1000') - task.doneMs);
      task.stage = 'running';
    }
    const limitMs = task.spec.time_limit_seconds * 1_000;
    const runsMs = Number(program.SIM_RUNS_MS ?? '1000');
    if (task.stage === 'running') {
      await this.#runProgram(task, { runsMs, limitMs });
      if (task.gone) return;
      task.doneMs = Math.max(0, runsMs - Math.max(0, (task.runsUntil ?? time.nowMs) - time.nowMs));
      task.exitCode = task.stop ? 143 : runsMs > limitMs ? 137 : Number(program.SIM_EXIT_CODE ?? '0');
      task.stage = 'exiting';
    }
    const stopped = task.stop;
    if (task.stage === 'exiting') {
      if (!(await this.#report('exited', task))) return;
      task.stage = 'saving';
    }
    if (task.stage === 'saving') {
      await this.#waitFor(task, random.between(10, 3_000), true);
      if (task.gone) return;
      if (stopped && task.spec.checkpoint) await this.#save(task, task.doneMs);
      task.stage = 'ending';
    }
    if (task.stage === 'ending') {
      end ??= this.#endOf(task, { stopped, overtime: runsMs > limitMs, fate });
      if (random.chance(this.#world.weather.lie))
        end = { reason: random.pick(reportedEndReasons), exitCode: random.pick([null, 0, 1, 137]) };
      if (!(await this.#report('ended', task, end))) return;
      task.stage = 'releasing';
    }
    if (task.stage === 'releasing') await this.#report('released', task);
  }

  /** Runs to its end, or until it is to stop; what is done is saved now and then, as the job wants it. */
  async #runProgram(task: Task, { runsMs, limitMs }: { runsMs: number; limitMs: number }): Promise<void> {
    const { random, time } = this.#world;
    const endsAt = () => task.runsUntil ?? time.nowMs;
    while (!task.gone && !task.stop) {
      const { isCalm } = this.#world;
      // Who is to meet the time limit still does.
      if (isCalm && runsMs <= limitMs)
        task.runsUntil = Math.min(endsAt(), time.nowMs + random.between(0, leftInCalmMs));
      const leftMs = endsAt() + Math.min(0, limitMs - runsMs) - time.nowMs;
      if (leftMs <= 0) return;
      const saves = task.spec.checkpoint !== null && !isCalm;
      await this.#waitFor(task, Math.min(leftMs, saves ? random.between(1_000, 5_000) : Infinity));
      if (!saves || this.#world.isCalm || task.gone || task.stop || time.nowMs >= endsAt()) continue;
      await this.#save(task, Math.max(0, runsMs - (endsAt() - time.nowMs)));
    }
  }

  /** One try to save: a state that is not kept costs work, and nothing else. */
  async #save(task: Task, doneMs: number): Promise<void> {
    const signal = new AbortController().signal;
    const claim = {
      leaseId: task.spec.lease_id,
      fence: task.spec.fence,
      providerId: this.providerId,
      session: this.#session,
    };
    const begun = await this.#market.call('begin-save', async (deps) =>
      beginCheckpoint(deps, await claimOf(deps, claim)),
    );
    if (!begun.ok || begun.value === null) return;
    const checkpointId = begun.value;
    const bytes = Buffer.from(JSON.stringify(manifestOf(doneMs)));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    await this.#market.call('commit-save', async (deps) =>
      commitCheckpoint(deps, await claimOf(deps, claim), { checkpointId, sha256, bytes, signal }),
    );
  }

  /** Puts the saved state back; false when the try is no longer ours. */
  async #restore(task: Task): Promise<boolean> {
    for (;;) {
      const claim = {
        leaseId: task.spec.lease_id,
        fence: task.spec.fence,
        providerId: this.providerId,
        session: this.#session,
      };
      const reply = await this.#market.call('restore', async (deps) =>
        readStateManifest(deps, await claimOf(deps, claim)),
      );
      if (task.gone) return false;
      if (reply.ok) {
        task.doneMs = doneIn(reply.value.text);
        return true;
      }
      if (reply.code === 'lease/stale' || reply.code === 'lease/not-found') return false;
      if (reply.code.startsWith('checkpoint/'))
        this.#world.report(
          'a try finds the state that it is to begin with',
          `${claim.leaseId}: ${reply.code}`,
        );
      if (reply.code === 'provider/session-stale') await this.#hello();
      await this.#world.time.sleep(1_000);
    }
  }

  #endOf(task: Task, how: { stopped: boolean; overtime: boolean; fate: string }): End {
    const { exitCode } = task;
    if (exitCode === null) return { reason: 'provider-error', exitCode };
    if (how.stopped) return { reason: 'cancelled', exitCode };
    if (how.overtime) return { reason: 'time-limit', exitCode };
    if (how.fate === 'out-of-memory') return { reason: 'out-of-memory', exitCode: 137 };
    return { reason: exitCode === 0 ? 'exited-zero' : 'exited-nonzero', exitCode };
  }

  /** Reports until it is heard; false when the try is no longer ours. */
  async #report(name: ReportName, task: Task, end?: End): Promise<boolean> {
    const { random, time, weather } = this.#world;
    for (let tries = 0; ; tries += 1) {
      if (task.gone) return false;
      const claim = { leaseId: task.spec.lease_id, fence: task.spec.fence };
      const reply = await this.#send(
        name,
        claim,
        end ?? { reason: 'provider-error', exitCode: task.exitCode },
      );
      if (random.chance(weather.ghost)) this.#ghost();
      if (reply.ok) return true;
      if (reply.code === 'lease/stale' || reply.code === 'lease/not-found') return false;
      if (reply.code === 'provider/session-stale') await this.#hello();
      await time.sleep(Math.min(8_000, 200 * 2 ** tries) + random.between(0, 100));
    }
  }

  #send(name: ReportName, claim: { leaseId: LeaseId; fence: number }, end: End): Promise<Reply<void>> {
    const session = this.#session;
    const full = { ...claim, providerId: this.providerId, session };
    return this.#market.call(name, async (deps) => {
      await reports[name](deps, full, end);
      const lease = this.#world.facts?.leases.find(({ id }) => id === claim.leaseId);
      if (lease && lease.fence !== claim.fence)
        this.#world.report(
          'an old fence is refused',
          `${name} of ${claim.leaseId} with fence ${claim.fence}, it has ${lease.fence}`,
        );
    });
  }

  /** Something of this machine that is late or mistaken reports an old try, or a try under another fence. */
  #ghost(): void {
    const { random } = this.#world;
    if (!this.life || this.#past.length === 0) return;
    const claim = random.pick(this.#past);
    const fence = random.chance(0.5) ? claim.fence : random.pick(this.#past).fence + random.between(-1, 1);
    const name = random.pick(reportNames);
    const honest = fence === claim.fence && this.#journal.has(claim.leaseId);
    if (honest) return;
    this.#world.start(this.life, 'ghost', async () => {
      await this.#world.time.sleep(random.between(0, 20_000));
      await this.#send(name, { leaseId: claim.leaseId, fence }, { reason: 'exited-zero', exitCode: 0 });
    });
  }

  #hear(verdicts: readonly { lease_id: LeaseId; verdict: Verdict }[]): void {
    for (const { lease_id, verdict } of verdicts) {
      const task = this.#journal.get(lease_id);
      if (!task) continue;
      if (verdict === 'gone') task.gone = true;
      if (verdict === 'stop') task.stop = true;
      if (verdict !== 'run') task.wake();
    }
  }

  /** Waits for `ms`, or until the orchestrator wants a stop (`deaf`: unless the try is gone). */
  async #waitFor(task: Task, ms: number, deaf = false): Promise<void> {
    const over = this.#world.time.sleep(ms);
    const woken = new Promise<void>((resolve) => {
      task.wake = () => {
        if (task.gone || !deaf) resolve();
      };
    });
    if (task.gone || (task.stop && !deaf)) return;
    await Promise.race([over, woken]);
    task.wake = () => {};
  }

  async #requireSession(deps: Deps, session: number): Promise<void> {
    const seen = await touchSession(deps.db, this.providerId, session);
    if (seen === 'suspended') throw new AppError('provider/suspended');
    if (seen === 'stale') throw new AppError('provider/session-stale');
  }
}
