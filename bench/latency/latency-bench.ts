import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Client } from '@computefabric/api-client/client';
import { pause } from '@computefabric/runtime/wait';
import { startMarket } from '../../tests/journeys/market.ts';
import { until } from '../../tests/journeys/program.ts';
import { mean, measuredOn, printTable, quantile, writeJson } from '../report.ts';
import { type ContainerTemplate, EngineFloor } from './engine-floor.ts';
import { now, outsideEngine, printTimeline, type Span, tracing } from './timeline.ts';

const usage = `npm run bench -- latency [--runs 40] [--stream 20] [--trace] [--json FILE]

From submit to the first line of output at a reader of the job's stream, through the orchestrator, an agent and
Docker, turn by turn with the Engine API alone making the same container. The difference is ours.

  --stream N  afterwards, jobs that follow each other without a pause
  --trace     print every call and statement of the quickest run, with its moment, and how much of each run passed
              outside of calls to the Engine: a figure that a busy Engine does not spoil`;

/** Programs start differently fast the first times: files are read, code is compiled. */
const warmUps = 5;
/** An idle system: the one measured next does not share the processors with what the one before left to do. */
const idleMs = 1_500;

export async function latencyBench(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: 'string', default: '40' },
      stream: { type: 'string', default: '20' },
      trace: { type: 'boolean' },
      json: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const runs = Number(values.runs);
  const streamed = Number(values.stream);
  if (!Number.isInteger(runs) || runs < 1 || !Number.isInteger(streamed) || streamed < 0)
    throw new Error(`--runs and --stream must be whole numbers, --runs above 0.\n\n${usage}`);
  const engine = new EngineFloor(
    (process.env.DOCKER_HOST ?? 'unix:///var/run/docker.sock').replace('unix://', ''),
  );
  const folder = await mkdtemp(join(tmpdir(), 'computefabric-latency-'));
  const traceFile = join(folder, 'trace.txt');
  const env = { NODE_ENV: 'production', ...(values.trace ? tracing(traceFile) : {}) };
  const market = await startMarket({ env });
  try {
    await market.startProvider('bench', env);
    const template = await templateOf(market.client, market.image, engine);
    const ours: number[] = [];
    const floor: number[] = [];
    const spans: Span[] = [];
    for (let run = -warmUps; run < runs; run += 1) {
      const from = now();
      const system = await throughSystem(market.client, market.image);
      await untilIdle(market.client);
      await pause(idleMs);
      const alone = await engine.run(template, ['/bin/sh', '-c', command]);
      await pause(idleMs);
      if (run < 0) continue;
      ours.push(system);
      floor.push(alone);
      spans.push({ from, ms: system });
    }
    const stream: number[] = [];
    for (let job = 0; job < streamed; job += 1) {
      stream.push(await throughSystem(market.client, market.image));
    }
    await untilIdle(market.client);
    await pause(idleMs); // what was noted last is being written
    const outside = values.trace ? spans.map((span) => outsideEngine(traceFile, span)) : [];
    report({ ours, floor, stream, outside }, values.json);
    const [quickest] = spans.toSorted((a, b) => a.ms - b.ms);
    if (values.trace && quickest) printTimeline(traceFile, quickest);
  } finally {
    engine.close();
    await market.close();
    await rm(folder, { recursive: true, force: true });
  }
}

const command = 'echo ready';

/** Milliseconds of each run. */
interface Measured {
  ours: readonly number[];
  floor: readonly number[];
  stream: readonly number[];
  /** Of `ours`, outside of calls to the engine; empty without a trace. */
  outside: readonly number[];
}

/** The difference is taken turn by turn: what else the machine does hits both halves of a turn alike. */
function report({ ours, floor, stream, outside }: Measured, file: string | undefined): void {
  const share = ours.map((ms, index) => ms - (floor[index] ?? 0));
  const rows = {
    'through the whole system': ours,
    'Engine API alone': floor,
    'our share': share,
    ...(outside.length > 0 ? { 'outside of calls to the Engine': outside } : {}),
    ...(stream.length > 0 ? { 'jobs without a pause between them': stream } : {}),
  };
  const ms = (value: number) => value.toFixed(1);
  printTable(
    ['submit → first line, ms', 'p10', 'p50', 'p95', 'mean'],
    Object.entries(rows).map(([name, values]) => [
      name,
      ms(quantile(values, 0.1)),
      ms(quantile(values, 0.5)),
      ms(quantile(values, 0.95)),
      ms(mean(values)),
    ]),
  );
  const between = (at: number) => quantile(ours, at) - quantile(floor, at);
  console.log(
    `\nDifference of the medians: ${ms(between(0.5))} ms; of the 95th percentiles: ${ms(between(0.95))} ms`,
  );
  if (file === undefined) return;
  writeJson(file, {
    ...measuredOn(),
    runs: ours.length,
    systemMs: { p10: quantile(ours, 0.1), p50: quantile(ours, 0.5), p95: quantile(ours, 0.95) },
    engineMs: { p10: quantile(floor, 0.1), p50: quantile(floor, 0.5), p95: quantile(floor, 0.95) },
    oursMs: { p10: quantile(share, 0.1), p50: quantile(share, 0.5), p95: quantile(share, 0.95) },
    ...(outside.length > 0
      ? {
          outsideEngineMs: {
            p10: quantile(outside, 0.1),
            p50: quantile(outside, 0.5),
            p95: quantile(outside, 0.95),
          },
        }
      : {}),
    ...(stream.length > 0 ? { streamMs: { p50: quantile(stream, 0.5), p95: quantile(stream, 0.95) } } : {}),
    differenceMs: { p50: between(0.5), p95: between(0.95) },
    pairs: ours.map((value, index) => [value, floor[index]]),
  });
}

function jobSpec(image: string, shell: string) {
  return {
    image,
    command: shell,
    requirements: { gpus: 1, cpus: 1, memory_mib: 256 },
    time_limit_seconds: 60,
  };
}

async function throughSystem(client: Client, image: string): Promise<number> {
  const startedAt = performance.now();
  const { id } = await client.jobs.create(jobSpec(image, command));
  for await (const item of client.jobs.follow(id)) {
    if (item.kind === 'log' && item.entry.stream === 'stdout') return performance.now() - startedAt;
    if (item.kind === 'end')
      throw new Error(`${id} ended as ${item.job.state} without a line: ${item.job.end_message}`);
  }
  throw new Error(`the stream of ${id} ended early`);
}

/** Nothing of the run before goes on: its container is gone and its bill settled. */
async function untilIdle(client: Client): Promise<void> {
  await until('an idle market', 30, async () => {
    const [last] = (await client.jobs.list({ limit: 1 })).items;
    const job = last && (await client.jobs.get(last.id));
    return job?.cost.payment_state === 'succeeded' && job.leases.at(-1)?.state === 'released';
  });
}

/** The very container that the agent makes, by looking at one. */
async function templateOf(client: Client, image: string, engine: EngineFloor): Promise<ContainerTemplate> {
  const { id } = await client.jobs.create(jobSpec(image, 'sleep 60'));
  const template = await until('a container of the agent', 30, async () => {
    const lease = (await client.jobs.get(id)).leases.at(-1);
    return lease?.started_at ? await engine.templateOf(`computefabric.lease=${lease.id}`) : null;
  });
  await client.jobs.cancel(id);
  await untilIdle(client);
  return template;
}
