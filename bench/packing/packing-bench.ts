import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import type { NodeSpec } from '../../orchestrator/src/matching/placement/cluster.ts';
import type { TaskShape } from '../../orchestrator/src/matching/placement/task-shape.ts';
import { mean, measuredOn, printTable, quantile, writeJson } from '../report.ts';
import { capacityOf, type MakePolicy, type Replay, replayInflation } from './inflation.ts';
import { ours, oursOnline } from './placer-policy.ts';
import { publishedPolicies } from './published-policies.ts';
import { parseNodes, parseTasks } from './trace.ts';
import { variantsOf } from './variants.ts';

const policies: Record<string, MakePolicy> = { ...publishedPolicies, ours, 'ours-online': oursOnline };

/** Per cent of the capacity asked for at which the allocated share is reported. */
const reportedAt = [90, 95, 100, 110, 130] as const;

/**
 * Published figures: means of the seeds 42 to 51, at 100 % asked for. From the repository of the paper,
 * experiments/analysis/expected_results/analysis_allo_discrete.csv.
 */
const publishedAt100: Record<string, Record<string, number>> = {
  openb_pod_list_default: {
    random: 86.3,
    dotprod: 90.62,
    gpuclustering: 91.65,
    gpupacking: 91.78,
    bestfit: 92.86,
    fgd: 95.23,
  },
};

const usage = `Replays a trace with the protocol of Weng et al. (USENIX ATC 2023) and compares placement policies.

npm run bench -- packing --nodes FILE --tasks FILE [options]

  --seeds 42..51        seeds, as a range or a list with commas
  --policies fgd,ours   default: all (${Object.keys(policies).join(', ')})
  --variants            also replay workloads made out of this one: more sharing, more GPUs per task,
                        tasks that insist on a model, more tasks without a GPU (3 seeds each)
  --cpu-nodes           keep nodes without GPUs; the study leaves them out, and so do we
  --json FILE           write the figures there

The traces are Alibaba's cluster-trace-gpu-v2023: https://github.com/alibaba/clusterdata
(csv/openb_node_list_all_node.csv and csv/openb_pod_list_default.csv, or any of its other task lists).`;

/** @throws Error with a sentence for people */
export async function packingBench(args: string[]): Promise<void> {
  const options = parseOptions(args);
  if (!options) return console.log(usage);
  const allNodes = parseNodes(readFileSync(options.nodes, 'utf8'), options.nodes);
  const nodes = options.cpuNodes ? allNodes : allNodes.filter(({ gpus }) => gpus.length > 0);
  const tasks = parseTasks(readFileSync(options.tasks, 'utf8'), options.tasks);
  const workload = basename(options.tasks).replace(/\.csv$/, '');
  console.log(
    `${workload}: ${tasks.length} tasks on ${nodes.length} nodes with ${capacityOf(nodes) / 1_000} GPUs, seeds ${options.seeds.join(' ')}\n`,
  );
  const replays = new Map<string, Map<number, Replay>>(options.policies.map((name) => [name, new Map()]));
  for (const seed of options.seeds) {
    // Policies by turns, so that what else the machine does falls on all of them.
    for (const [name, results] of replays) {
      results.set(seed, replayInflation(nodes, tasks, seed, policyNamed(name)));
    }
  }
  const summaries = [...replays].map(([name, results]) => ({
    name,
    published: publishedAt100[workload]?.[name],
    ...summarize([...results.values()]),
    perSeed: Object.fromEntries([...results].map(([seed, replay]) => [seed, figures([replay])])),
  }));
  printSummaries(summaries);
  const onAllNodes = nodes.length === allNodes.length ? null : decideOnAllNodes(allNodes, tasks, options);
  const variants = options.variants ? replayVariants(nodes, tasks, options) : null;
  if (options.json) {
    writeJson(options.json, {
      bench: 'packing',
      ...measuredOn(),
      workload: { name: workload, tasks: tasks.length, nodes: nodes.length, gpus: capacityOf(nodes) / 1_000 },
      seeds: options.seeds,
      policies: Object.fromEntries(summaries.map(({ name, ...summary }) => [name, summary])),
      onAllNodes,
      variants,
    });
  }
}

/** The same with the nodes that have no GPU: more nodes to look through, more room for tasks without a GPU. */
function decideOnAllNodes(nodes: readonly NodeSpec[], tasks: readonly TaskShape[], options: Options) {
  const names = options.policies.filter((name) => name.startsWith('ours') || name === 'fgd');
  const seeds = options.seeds.slice(0, 3);
  const summaries = names.map((name) => ({
    name,
    published: undefined,
    ...summarize(seeds.map((seed) => replayInflation(nodes, tasks, seed, policyNamed(name)))),
  }));
  console.log(`\nWith the nodes without GPUs, ${nodes.length} in all, seeds ${seeds.join(' ')}:\n`);
  printSummaries(summaries);
  return {
    nodes: nodes.length,
    seeds,
    policies: Object.fromEntries(summaries.map(({ name, ...summary }) => [name, summary])),
  };
}

/** By name of the variant and of the policy. */
function replayVariants(nodes: readonly NodeSpec[], tasks: readonly TaskShape[], options: Options) {
  const seeds = options.seeds.slice(0, 3);
  const results: Record<string, Record<string, ReturnType<typeof summarize>>> = {};
  for (const variant of variantsOf(tasks, nodes)) {
    const summaries = options.policies.map((name) => ({
      name,
      published: undefined,
      ...summarize(seeds.map((seed) => replayInflation(nodes, variant.tasks, seed, policyNamed(name)))),
    }));
    console.log(`\n${variant.name}: ${variant.tasks.length} tasks, seeds ${seeds.join(' ')}\n`);
    printSummaries(summaries);
    results[variant.name] = Object.fromEntries(summaries.map(({ name, ...summary }) => [name, summary]));
  }
  return results;
}

function summarize(replays: readonly Replay[]) {
  const micros = replays.flatMap(({ microsPerDecision }) => microsPerDecision);
  return {
    ...figures(replays),
    microsPerDecision: {
      median: round(quantile(micros, 0.5)),
      mean: round(mean(micros)),
      p95: round(quantile(micros, 0.95)),
      p99: round(quantile(micros, 0.99)),
    },
  };
}

type Figures = Record<`allocatedPercentAt${(typeof reportedAt)[number]}`, number> & {
  firstRefusalPercent: number;
  refusedPercentAt100: number;
};

function figures(replays: readonly Replay[]): Figures {
  const at = (percent: (typeof reportedAt)[number]) =>
    round(mean(replays.map(({ allocatedPercentAt }) => allocatedPercentAt[percent] ?? 0)));
  return {
    allocatedPercentAt90: at(90),
    allocatedPercentAt95: at(95),
    allocatedPercentAt100: at(100),
    allocatedPercentAt110: at(110),
    allocatedPercentAt130: at(130),
    firstRefusalPercent: round(mean(replays.map(({ firstRefusalPercent }) => firstRefusalPercent))),
    refusedPercentAt100: round(mean(replays.map(({ refusedPercentAt100 }) => refusedPercentAt100))),
  };
}

type Summary = ReturnType<typeof summarize> & { name: string; published: number | undefined };

function printSummaries(summaries: readonly Summary[]): void {
  printTable(
    [
      'policy',
      ...reportedAt.map((percent) => `at ${percent} %`),
      'published',
      'first refusal',
      'µs median',
      'µs p95',
    ],
    summaries.map((summary) => [
      summary.name,
      ...reportedAt.map((percent) => summary[`allocatedPercentAt${percent}`].toFixed(2)),
      summary.published?.toFixed(2) ?? '',
      Number.isFinite(summary.firstRefusalPercent) ? `${summary.firstRefusalPercent.toFixed(1)} %` : 'none',
      summary.microsPerDecision.median.toFixed(0),
      summary.microsPerDecision.p95.toFixed(0),
    ]),
  );
}

interface Options {
  nodes: string;
  tasks: string;
  seeds: number[];
  policies: string[];
  cpuNodes: boolean;
  variants: boolean;
  json: string | undefined;
}

function parseOptions(args: string[]): Options | null {
  const { values } = parseArgs({
    args,
    options: {
      nodes: { type: 'string' },
      tasks: { type: 'string' },
      seeds: { type: 'string', default: '42..51' },
      policies: { type: 'string', default: Object.keys(policies).join(',') },
      'cpu-nodes': { type: 'boolean', default: false },
      variants: { type: 'boolean', default: false },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return null;
  if (!values.nodes || !values.tasks) throw new Error(`--nodes and --tasks are needed.\n\n${usage}`);
  const names = values.policies.split(',').map((name) => name.trim());
  for (const name of names) policyNamed(name);
  return {
    nodes: values.nodes,
    tasks: values.tasks,
    seeds: parseSeeds(values.seeds),
    policies: names,
    cpuNodes: values['cpu-nodes'],
    variants: values.variants,
    json: values.json,
  };
}

function policyNamed(name: string): MakePolicy {
  const policy = policies[name];
  if (!policy)
    throw new Error(`There is no policy "${name}"; there are ${Object.keys(policies).join(', ')}.`);
  return policy;
}

/** `42..51` or `42,43`. */
export function parseSeeds(text: string): number[] {
  const range = /^(\d+)\.\.(\d+)$/.exec(text);
  if (range) {
    const from = Number(range[1]);
    const to = Number(range[2]);
    if (to >= from && to - from < 1_000) return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  }
  if (/^\d+(,\d+)*$/.test(text)) return text.split(',').map(Number);
  throw new Error(`--seeds is "${text}"; it is a range such as 42..51 or a list such as 42,43.`);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
