import { defineContract } from '@computefabric/protocol/contract';
import { type GroupId, groupId, type JobId, jobId, type UserId } from '@computefabric/protocol/ids';
import { groupSpec } from '@computefabric/protocol/user-api/groups';
import { type JobSpecInput, jobSpec } from '@computefabric/protocol/user-api/job-spec';
import { z } from 'zod';
import { withIdempotency } from '../../orchestrator/src/http/idempotency.ts';
import { submitJob } from '../../orchestrator/src/jobs/submit-job.ts';
import { cancelJob } from '../../orchestrator/src/leases/cancel-job.ts';
import { cancelGroup } from '../../orchestrator/src/shapes/cancel-group.ts';
import { submitGroup } from '../../orchestrator/src/shapes/submit-group.ts';
import type { Orchestrators } from './orchestrators.ts';
import type { Program } from './sim-agent.ts';
import type { Random } from './random.ts';
import type { Life } from './virtual-time.ts';
import type { World } from './world.ts';

/** As the route does it, without the view of the job. */
const submit = defineContract({
  id: 'simulatedSubmit',
  method: 'POST',
  path: '/simulated',
  summary: 'Submit',
  audience: 'user',
  idempotent: true,
  reply: z.object({ id: z.union([jobId, groupId]) }),
  status: 201,
  errors: [],
});

/** Somebody who submits jobs over the lossy network, repeats what was not answered, and changes their mind. */
export class SimRenter {
  readonly #world: World;
  readonly #market: Orchestrators;
  readonly #userId: UserId;
  readonly #life: Life;
  #jobs = 0;
  readonly #accepted: (JobId | GroupId)[] = [];
  /** Calls that have not come to an end. */
  pending = 0;

  constructor(world: World, market: Orchestrators, userId: UserId, name: string) {
    this.#world = world;
    this.#market = market;
    this.#userId = userId;
    this.#life = world.newLife(name);
  }

  /** Submits `count` jobs over the next `withinMs`. */
  begin(count: number, withinMs: number): void {
    const { random, time } = this.#world;
    for (let index = 0; index < count; index += 1) {
      const afterMs = random.chance(0.4) ? random.between(0, 500) : random.between(0, withinMs);
      this.pending += 1;
      this.#world.start(this.#life, 'job', async () => {
        await time.sleep(afterMs);
        const id = await this.#submit();
        if (random.chance(0.25)) {
          await time.sleep(random.between(0, 12_000));
          await this.#cancel(id);
        }
        this.pending -= 1;
      });
    }
  }

  async #submit(): Promise<JobId | GroupId> {
    this.#jobs += 1;
    const { random } = this.#world;
    const key = `${this.#life.name}-${this.#jobs}`;
    const after = this.#accepted.length > 0 && random.chance(0.35) ? [random.pick(this.#accepted)] : [];
    const shape = random.pick(['job', 'job', 'job', 'job', 'array', 'gang'] as const);
    const spec = jobSpec.parse({
      ...drawJob(random, key, shape === 'gang'),
      after: after.map((job) => ({ job, when: random.pick(['success', 'any', 'any', 'failure'] as const) })),
    });
    const array = { count: random.between(1, 3), max_parallel: random.pick([null, 1, 2]) };
    const request =
      shape === 'job'
        ? spec
        : groupSpec.parse({ spec, ...(shape === 'array' ? { array } : { machines: 2 }) });
    const userId = this.#userId;
    const defaultMaxPricePerHourMicros = 1_000_000n;
    for (;;) {
      const reply = await this.#market.call('submit', ({ db }) =>
        withIdempotency(db, { userId, key, contract: submit, request }, async (tx) => {
          const { id } =
            'spec' in request
              ? await submitGroup(tx, { userId, group: request, defaultMaxPricePerHourMicros })
              : await submitJob(tx, { userId, spec: request, defaultMaxPricePerHourMicros });
          return { id };
        }),
      );
      if (reply.ok) {
        const { id } = reply.value;
        if (!this.#world.facts?.jobs.some((job) => job.id === id || job.group === id))
          this.#world.report('what was accepted is there', `${id} of ${key}`);
        this.#accepted.push(id);
        return id;
      }
      await this.#world.time.sleep(1_000);
    }
  }

  async #cancel(id: JobId | GroupId): Promise<void> {
    const group = groupId.safeParse(id);
    const job = jobId.safeParse(id);
    for (;;) {
      const reply = await this.#market.call('cancel', (deps) => {
        if (group.success) return cancelGroup(deps.db, group.data);
        return cancelJob(deps, { userId: this.#userId, jobId: jobId.parse(job.data) });
      });
      if (reply.ok) {
        if (reply.value === 'not-found')
          this.#world.report('what was accepted is there', `${id} is not found`);
        return;
      }
      await this.#world.time.sleep(1_000);
    }
  }
}

/** A job that at least one machine of every run can do; several of a gang, as long as they may wait for it. */
function drawJob(random: Random, key: string, gang: boolean): JobSpecInput {
  const roll = random.next();
  // Who keeps state runs for longer than it takes to save some.
  const checkpoint = random.chance(0.35) ? { path: '/state', every_seconds: 5 } : null;
  const runsMs = checkpoint
    ? random.between(3_000, 40_000)
    : random.between(roll < 0.2 ? 0 : 300, roll < 0.2 ? 300 : roll < 0.8 ? 8_000 : 40_000);
  const fate = random.chance(0.75)
    ? 'runs'
    : random.pick(['image-unavailable', 'start-failed', 'provider-error', 'out-of-memory'] as const);
  const program: Program & { SIM_KEY: string } = {
    SIM_KEY: key,
    SIM_RUNS_MS: String(runsMs),
    SIM_EXIT_CODE: String(random.chance(0.25) ? random.between(1, 3) : 0),
    SIM_FATE: fate,
  };
  const gpus = random.pick(gang ? [0, 1] : [0, 1, 1, 1, 2]);
  return {
    image: 'busybox',
    env: { ...program },
    requirements: {
      gpus,
      gpu_milli: gpus === 1 && random.chance(0.4) ? random.pick([250, 500, 600]) : 1_000,
      cpus: random.pick([0.5, 1, 2]),
      memory_mib: random.pick(gang ? [512, 2_048] : [512, 2_048, 6_000]),
    },
    time_limit_seconds: random.chance(0.15) ? 10 : 60,
    queue_timeout_seconds: gang || random.chance(0.15) ? random.between(10, 60) : null,
    class: random.chance(0.3) ? 'spot' : 'on-demand',
    priority: random.between(0, 100),
    retries: gang ? {} : drawRetries(random),
    checkpoint,
    disconnect: random.chance(0.3)
      ? {
          lost_after_seconds: random.pick([10, 30, 60]),
          replace: random.chance(0.7),
          keep: random.pick(['replacement', 'original', 'longest-running'] as const),
        }
      : {},
    stop_grace_seconds: random.pick([0, 10]),
  };
}

function drawRetries(random: Random): NonNullable<JobSpecInput['retries']> {
  const max = random.pick([0, 0, 1, 2]);
  return random.pick([{ max }, { max }, { max, on_exit_codes: [1] }, { max, never_on_exit_codes: [2, 3] }]);
}
