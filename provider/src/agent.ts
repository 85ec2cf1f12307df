import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import type { MeteringRecord } from '@computefabric/protocol/receipts/metering';
import type { TaskSpec, Verdict } from '@computefabric/protocol/provider-api/v1/session';
import type { Clock } from '@computefabric/runtime/clock';
import { toError } from '@computefabric/runtime/errors';
import { invariant, never } from '@computefabric/runtime/invariant';
import type { Logger } from '@computefabric/runtime/log';
import type { Signer } from '@computefabric/runtime/receipts/signatures';
import { DeadlineError, pause, withDeadline } from '@computefabric/runtime/wait';
import { Bell } from './bell.ts';
import { type Admission, admit, type OwnerTerms, type TakenResources } from './admission/admit.ts';
import type { KeptStates } from './checkpoints/kept-states.ts';
import type { ContainerDriver } from './container/container-driver.ts';
import type { TaskPriority } from './container/task-priority.ts';
import { claimGpus, type GpuAllocation, noneAllocated, releaseGpus } from './container/gpu-allocator.ts';
import { DanglingSweep } from './container/sweep-dangling.ts';
import type { ControlPlaneClient } from './control-plane/client.ts';
import type { Credential } from './control-plane/credential.ts';
import { aliveUntil, type Heard } from './control-plane/heard.ts';
import type { PulledImages } from './images/pulled-images.ts';
import { LeaseReports } from './control-plane/lease-reports.ts';
import { Session, type SessionTasks } from './control-plane/session.ts';
import type { AgentHome } from './home/agent-home.ts';
import type { BootClock } from './home/boot-clock.ts';
import { neutralRefusal, type OwnerPolicy, type PolicyTasks } from './policy/owner-policy.ts';
import { TaskJournal } from './tasks/journal.ts';
import { recoverTasks } from './tasks/recover-tasks.ts';
import { mayRun } from './tasks/task-machine.ts';
import { TaskRunner } from './tasks/task-runner.ts';

export interface AgentOptions {
  home: AgentHome;
  client: ControlPlaneClient;
  credential: Credential;
  /** Signs the metering of this machine's tries. */
  signer: Signer;
  driver: ContainerDriver;
  /** Images that the agent has pulled, and those that it may pull ahead. */
  images: PulledImages;
  /** State of jobs that stays here for their next tries. */
  states: KeptStates;
  /** When the machine works, and for whom. */
  policy: OwnerPolicy;
  /** What the machine has now, with the owner's prices. */
  inventory: () => Promise<Inventory>;
  /** Resolves when the watchdog is there: no program is started before. */
  guarded: Promise<void>;
  /** Most that a program gets to end by itself then. */
  moveGraceSeconds: number;
  /** How long a drain may take to bring tasks home, beside the grace time of their programs. */
  drainMs: number;
  clock: Clock;
  bootClock: BootClock;
  log: Logger;
}

/** How the agent came to its end by itself. */
export type AgentEnd = { kind: 'left' } | { kind: 'failed'; error: Error };

/** While an image is pulled its progress is told this often, beside the market's heartbeats. */
const progressEveryMs = 2_000;
const sweepEveryMs = 15_000;
/** Looking at the images costs the engine a list of them. */
const tendEveryMs = 30_000;
/** Far more than the time between making a container and writing that down. */
const danglingGraceSeconds = 30;
/** The state of a job that is moved may take this much longer: at 20 MB/s a change of 2.4 GB. */
export const movingStateMs = 120_000;
const goodbyeMs = 2_000;
const removeMs = 10_000;
const rejectMs = 10_000;

/**
 * The agent at work: takes offers that suit the owner, walks each through its life, and keeps the orchestrator
 * and itself of one mind about them.
 */
export class Agent implements SessionTasks {
  readonly #options: AgentOptions;
  readonly #session: Session;
  readonly #runners = new Map<string, TaskRunner>();
  /** What every task takes, from the moment its offer is taken until nothing of it is left. */
  readonly #taken = new Map<string, TaskSpec>();
  #gpus: GpuAllocation = noneAllocated;
  readonly #leaving = new AbortController();
  #serving: Promise<AgentEnd> | undefined;
  /** What was announced last: offers are judged by it. */
  #announced: Inventory | undefined;
  #progressToldAt = Number.NEGATIVE_INFINITY;
  /** What tasks have of the processor that is not the usual; those of an earlier process are not known. */
  readonly #priorities = new Map<string, TaskPriority>();
  #applyingPolicy: Promise<void> | undefined;
  #draining = false;
  /** Rings when there may be something to do about images. */
  readonly #imageNews = new Bell();

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#session = new Session({
      client: options.client,
      credential: options.credential,
      signingKey: options.signer.publicKey,
      inventory: () => this.#look(),
      tasks: this,
      clock: options.bootClock,
      log: options.log,
    });
  }

  /**
   * Takes up what an earlier process left, then serves until `drain` or `leave`. Resolves with how it ended;
   * after a failure nothing has been touched and the process should end.
   */
  async start(): Promise<{ ended: Promise<AgentEnd> }> {
    await this.#options.images.look();
    await this.#look();
    this.#options.states.onChange = () => this.#session.beatSoon();
    this.#options.images.inUse = () => [...this.#taken.values()].map(({ image }) => image);
    await this.#recover();
    void this.#sweepDangling();
    void this.#tendImages();
    this.#applyingPolicy = this.#options.policy.run(this.#policyTasks(), this.#leaving.signal);
    this.#serving = this.#session.run(this.#leaving.signal).then(
      (): AgentEnd => ({ kind: 'left' }),
      (thrown: unknown): AgentEnd => {
        // A newer process speaks for this machine now, or the market refuses it: no task is ours to touch.
        this.#leaveTasks();
        return { kind: 'failed', error: toError(thrown) };
      },
    );
    return { ended: this.#serving };
  }

  /**
   * The owner takes the machine back: no more offers, programs are stopped with their grace time, what can be
   * brought home is, and no container is left. What the orchestrator did not hear, the next start tells it.
   */
  async drain(): Promise<void> {
    if (this.#draining) return;
    this.#draining = true;
    const { log, drainMs } = this.#options;
    const goodbye = this.#session.goodbye(false, goodbyeMs);
    const runners = [...this.#runners.values()];
    const most = this.#options.moveGraceSeconds;
    const asked = runners.map((runner) => runner.record.spec.stop_grace_seconds);
    const graceMs = Math.min(most, Math.max(0, ...asked)) * 1_000;
    await Promise.all(
      runners.map((runner, index) => runner.stop('provider-left', most < (asked[index] ?? 0) ? most : null)),
    );
    await withDeadline(
      Promise.all(runners.map((runner) => runner.run())),
      graceMs + drainMs + (runners.some(({ record }) => record.spec.checkpoint) ? movingStateMs : 0),
      'bringing tasks home',
    ).catch((thrown: unknown) => {
      if (!(thrown instanceof DeadlineError)) throw thrown;
      log.warn('some tasks could not be brought home in time; the next start reports them');
    });
    await goodbye;
    await this.#removeContainers();
    // Only when no call of ours is under way any more: leaving ends the session, and a call on an ended session
    // would look as if another process had taken over.
    await this.leave();
    await this.#session.goodbye(true, goodbyeMs);
  }

  /** Stops all loops and touches nothing: containers go on without us. */
  async leave(): Promise<void> {
    this.#leaving.abort();
    this.#leaveTasks();
    await this.#serving;
    await this.#applyingPolicy;
    await Promise.all([...this.#runners.values()].map((runner) => runner.settled()));
  }

  held(): ReturnType<SessionTasks['held']> {
    return [...this.#runners.values()].map(({ record }) => ({
      lease_id: record.spec.lease_id,
      fence: record.spec.fence,
      task_state: record.state,
    }));
  }

  beating(): ReturnType<SessionTasks['beating']> {
    return (
      [...this.#runners.values()]
        // Of a try that is over and cleaned up only its release is on the way: there is nothing to keep alive.
        .filter(({ record }) => record.aliveUntil !== null && !(record.endReported && record.removed))
        .map((runner) => {
          const { record, progress } = runner;
          const countersigned = runner.takeCountersignature();
          return {
            lease_id: record.spec.lease_id,
            fence: record.spec.fence,
            task_state: record.state,
            progress: progress && { done_bytes: progress.bytesDone, total_bytes: progress.bytesTotal },
            ...(countersigned ? { countersigned } : {}),
          };
        })
    );
  }

  kept(): ReturnType<SessionTasks['kept']> {
    const { states } = this.#options;
    return { version: states.version, states: states.list() };
  }

  forget(jobIds: Parameters<SessionTasks['forget']>[0]): void {
    const { states, log } = this.#options;
    for (const job of jobIds) {
      log.info({ job_id: job }, 'state not needed any more; removed');
      void states.forget(job);
    }
  }

  ownerNotice(): ReturnType<SessionTasks['ownerNotice']> {
    return this.#options.policy.notice();
  }

  images(): readonly string[] | undefined {
    return this.#options.images.names;
  }

  wantedImages(references: readonly string[]): void {
    this.#options.images.suggest(references);
    this.#imageNews.ring();
  }

  metered(leaseId: string, record: MeteringRecord): void {
    const runner = this.#runners.get(leaseId);
    if (runner) this.#watch(leaseId, runner.witness(record));
  }

  marketAway(heard: Heard): void {
    for (const [leaseId, runner] of this.#runners) {
      this.#watch(leaseId, runner.renew(aliveUntil(runner.record.spec, heard)));
    }
  }

  verdict(leaseId: string, verdict: Verdict, heard: Heard, stopWithinSeconds: number | null): void {
    const runner = this.#runners.get(leaseId);
    if (!runner) return; // Done and forgotten while the answer was on its way.
    const until = aliveUntil(runner.record.spec, heard);
    switch (verdict) {
      case 'run':
        this.#watch(leaseId, runner.renew(until));
        return;
      case 'stop':
        this.#watch(leaseId, runner.renew(until));
        this.#watch(leaseId, runner.stop('cancelled', stopWithinSeconds));
        return;
      case 'gone':
        runner.abandon('the orchestrator says that it is gone');
        return;
      default:
        never(verdict, 'verdict');
    }
  }

  offer(spec: TaskSpec): void {
    // The same offer again, after a lost answer: it is in hand.
    if (this.#taken.has(spec.lease_id) || this.#runners.has(spec.lease_id)) return;
    const { log } = this.#options;
    const admission: Admission = this.#draining
      ? { kind: 'decline', reason: 'the owner takes the machine back' }
      : admit(spec, this.#terms(), this.#takenResources());
    if (admission.kind === 'decline') {
      log.info({ lease_id: spec.lease_id, job_id: spec.job_id, reason: admission.reason }, 'offer declined');
      this.#watch(spec.lease_id, this.#reports(spec).reject(admission.reason, AbortSignal.timeout(rejectMs)));
      return;
    }
    this.#reserve(spec);
    this.#watch(spec.lease_id, this.#take(spec));
  }

  async #take(spec: TaskSpec): Promise<void> {
    const judgement = await this.#options.policy.judge(spec);
    if (judgement.kind === 'no') {
      const { log } = this.#options;
      log.info(
        { lease_id: spec.lease_id, job_id: spec.job_id, reason: judgement.reason },
        'offer declined by the owner’s rules',
      );
      this.#free(spec);
      // The owner's reasons are the owner's: the market is told only that it is a no.
      await this.#reports(spec).reject(neutralRefusal, AbortSignal.timeout(rejectMs));
      return;
    }
    const refusal = await this.#refusalOfImage(spec);
    if (refusal !== null) {
      this.#options.log.info(
        { lease_id: spec.lease_id, job_id: spec.job_id, reason: refusal },
        'offer declined',
      );
      this.#free(spec);
      await this.#reports(spec).reject(refusal, AbortSignal.timeout(rejectMs));
      return;
    }
    try {
      this.#walk(await TaskJournal.create(this.#options.home.tasks, spec));
    } catch (thrown) {
      this.#free(spec);
      await this.#reports(spec).reject(
        'the machine cannot keep a journal of it',
        AbortSignal.timeout(rejectMs),
      );
      throw thrown;
    }
  }

  /** An image that is here costs one look; of another the registry is asked, for as long as the offer stands. */
  async #refusalOfImage({ image, offer_seconds }: TaskSpec): Promise<string | null> {
    try {
      return await this.#options.images.refusal(image, AbortSignal.timeout((offer_seconds * 1_000) / 2));
    } catch (thrown) {
      // An engine that does not answer, or a name that is none: the task's own steps say so, in their words.
      this.#options.log.info({ err: toError(thrown) }, 'the image could not be looked at');
      return null;
    }
  }

  /** What the owner's rules do here. */
  #policyTasks(): PolicyTasks {
    const { driver, moveGraceSeconds, log } = this.#options;
    const running = () => [...this.#runners.values()].filter(({ record }) => mayRun(record));
    const containers = () =>
      running().flatMap(({ record: { containerId, spec } }) => (containerId ? [{ containerId, spec }] : []));
    return {
      programs: () => ({
        count: running().length,
        containerIds: containers().map(({ containerId }) => containerId),
      }),
      throttle: async (how) => {
        const there = containers();
        for (const known of this.#priorities.keys()) {
          if (!there.some(({ containerId }) => containerId === known)) this.#priorities.delete(known);
        }
        await Promise.all(
          there
            .filter(({ containerId }) => this.#priorities.get(containerId) !== how)
            .map(async ({ containerId, spec }) => {
              await driver.prioritizeTask(containerId, how, spec.cpus);
              this.#priorities.set(containerId, how);
            }),
        );
      },
      vacate: async (graceSeconds, sentence) => {
        const within = Math.min(graceSeconds, moveGraceSeconds);
        await Promise.all(
          running()
            .filter(({ record }) => !record.stop)
            .map((runner) => runner.stop('provider-left', within, sentence)),
        );
      },
      kill: async () => {
        await Promise.all(
          containers().map(async ({ containerId }) => {
            await driver.killTask(containerId).catch((thrown: unknown) => {
              log.warn(
                { err: toError(thrown) },
                'a program that has to go could not be killed; trying again',
              );
            });
          }),
        );
      },
      onChange: () => this.#session.beatSoon(),
    };
  }

  async #recover(): Promise<void> {
    const { home, driver, log } = this.#options;
    const journals = await TaskJournal.loadAll(home.tasks, log);
    const { tasks, unknown } = recoverTasks(journals, await driver.listOwned(), log);
    if (unknown.length > 0) log.warn({ leases: unknown }, 'the engine holds what no journal tells of');
    for (const { journal } of tasks) {
      if (!journal.record.removed) this.#reserve(journal.record.spec);
      this.#walk(journal);
    }
  }

  /** Removes, now and then, what the engine holds of this agent and no task claims. */
  async #sweepDangling(): Promise<void> {
    const { driver, clock, log, states } = this.#options;
    const sweep = new DanglingSweep({
      driver,
      knownLeaseIds: () => this.#taken.keys(),
      monotonicMs: () => clock.monotonic(),
      graceSeconds: danglingGraceSeconds,
    });
    for (; !this.#leaving.signal.aborted; await pause(sweepEveryMs, this.#leaving.signal)) {
      try {
        await states.tidy(Date.now());
        const { removed, failed } = await sweep.sweep();
        const leases = new Set(removed.map(({ leaseId }) => leaseId));
        if (removed.length > 0) log.warn({ leases: [...leases] }, 'removed what no task claimed');
        for (const { leaseId, error } of failed) {
          log.error({ lease_id: leaseId, err: toError(error) }, 'what no task claims could not be removed');
        }
      } catch (thrown) {
        log.warn({ err: toError(thrown) }, 'the engine could not be looked through');
      }
    }
  }

  /** Removes images that do not fit, and pulls what is asked for while there is nothing else to do. */
  async #tendImages(): Promise<void> {
    const { images, policy } = this.#options;
    while (!this.#leaving.signal.aborted) {
      const before = images.names?.join();
      await images.tidy();
      const isIdle = this.#taken.size === 0 && !this.#draining && policy.acceptsWork;
      if (isIdle && (await images.pullAhead())) this.#imageNews.ring();
      if (images.names?.join() !== before) this.#session.beatSoon();
      await this.#imageNews.wait(tendEveryMs, this.#leaving.signal);
    }
  }

  #walk(journal: TaskJournal): void {
    const { driver, images, states, clock, bootClock, log, guarded, signer } = this.#options;
    const { spec } = journal.record;
    const runner = new TaskRunner({
      journal,
      reports: this.#reports(spec),
      signer,
      driver,
      images,
      states,
      clock,
      bootClock,
      log,
      guarded,
      isSimulatedGpu: (uuid) => this.#inventoryNow().gpus.some((gpu) => gpu.uuid === uuid && gpu.simulated),
      onNews: (news) => {
        // What a container had is free once it is gone, and before the market hears so: that offers it to somebody
        // else at once.
        if (runner.record.removed) this.#free(spec);
        this.#onNews(news);
      },
    });
    this.#runners.set(spec.lease_id, runner);
    const walk = runner.run().then((end) => {
      if (end === 'left') return;
      this.#runners.delete(spec.lease_id);
      this.#free(spec);
    });
    this.#watch(spec.lease_id, walk);
  }

  #onNews(news: 'state' | 'progress'): void {
    if (news === 'progress') {
      const now = this.#options.clock.monotonic();
      if (now - this.#progressToldAt < progressEveryMs) return;
      this.#progressToldAt = now;
    }
    this.#session.beatSoon();
  }

  /** What the task names is its own from now on; a task found after a restart holds what it holds. */
  #reserve(spec: TaskSpec): void {
    this.#taken.set(spec.lease_id, spec);
    this.#options.images.yieldToTask();
    const claim = claimGpus(
      this.#gpus,
      new Set(spec.gpu_uuids),
      spec.lease_id,
      spec.gpu_uuids,
      spec.gpu_milli,
    );
    if (claim.kind === 'claimed') this.#gpus = claim.allocation;
  }

  #free(spec: TaskSpec): void {
    if (this.#taken.has(spec.lease_id) && spec.registry_login) this.#imageNews.ring();
    this.#taken.delete(spec.lease_id);
    this.#gpus = releaseGpus(this.#gpus, spec.lease_id);
  }

  /** The machine as it is now. An engine that is away for a moment does not change what it has. */
  async #look(): Promise<Inventory> {
    try {
      const inventory = await this.#options.inventory();
      // What somebody's login brought is not among them.
      const names = this.#options.images.names;
      this.#announced = names ? { ...inventory, cached_images: [...names] } : inventory;
    } catch (thrown) {
      if (!this.#announced) throw thrown;
      this.#options.log.warn(
        { err: toError(thrown) },
        'the machine could not be looked at; announcing it as before',
      );
    }
    return this.#announced;
  }

  #inventoryNow(): Inventory {
    invariant(this.#announced, 'the machine is looked at before it is offered');
    return this.#announced;
  }

  #terms(): OwnerTerms {
    const inventory = this.#inventoryNow();
    return {
      prices: {
        perGpuHourMicros: BigInt(inventory.price_per_gpu_hour_micros),
        perCpuHourMicros: BigInt(inventory.price_per_cpu_hour_micros),
      },
      cpus: inventory.cpus,
      memoryMib: inventory.memory_mib,
      gpuUuids: inventory.gpus.map((gpu) => gpu.uuid),
      sharesGpus: inventory.shares_gpus,
      networks: inventory.networks,
      spotPercent: inventory.spot_percent,
    };
  }

  #takenResources(): TakenResources {
    const specs = [...this.#taken.values()];
    return {
      tasks: specs.length,
      cpus: specs.reduce((sum, spec) => sum + spec.cpus, 0),
      memoryMib: specs.reduce((sum, spec) => sum + spec.memory_mib, 0),
      gpus: this.#gpus,
    };
  }

  #reports(spec: TaskSpec): LeaseReports {
    return new LeaseReports(this.#session, this.#options.bootClock, spec);
  }

  #leaveTasks(): void {
    for (const runner of this.#runners.values()) runner.leave();
  }

  /** The last thing of a drain: whatever a task is still waiting for, its container goes now. */
  async #removeContainers(): Promise<void> {
    const { driver, log } = this.#options;
    this.#leaveTasks();
    await Promise.all(
      [...this.#runners.keys()].map(async (leaseId) => {
        try {
          await this.#runners.get(leaseId)?.run();
          await withDeadline(driver.removeLease(leaseId), removeMs, `removing the container of ${leaseId}`);
        } catch (thrown) {
          log.error({ lease_id: leaseId, err: toError(thrown) }, 'container not removed');
        }
      }),
    );
  }

  /** What goes on by itself and has nobody to tell: a failure of it is ours and is logged. */
  #watch(leaseId: string, work: Promise<unknown>): void {
    work.catch((thrown: unknown) => {
      if (!this.#leaving.signal.aborted) {
        this.#options.log.error(
          { lease_id: leaseId, err: toError(thrown) },
          'could not be done for the task',
        );
      }
    });
  }
}
