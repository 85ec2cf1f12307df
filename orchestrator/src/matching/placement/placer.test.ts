import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Cluster, fitsState, type NodeSpec } from './cluster.ts';
import { Demand } from './demand.ts';
import { Placer } from './placer.ts';
import { acceptedKinds } from './protection.ts';
import type { TaskShape } from './task-shape.ts';

function nodeOf(free: number[], overrides: Partial<NodeSpec> = {}): NodeSpec {
  const gpus = free.map((freeMilli) => ({ kind: 'A100', freeMilli }));
  return { cpuMilli: 96_000, memoryMib: 393_216, shares: true, gpus, ...overrides };
}

function taskOf(overrides: Partial<TaskShape> = {}): TaskShape {
  return { cpuMilli: 4_000, memoryMib: 4_096, gpuCount: 1, gpuMilli: 1_000, kinds: [], ...overrides };
}

function placerOf(nodes: NodeSpec[], expected: TaskShape[]) {
  const cluster = new Cluster();
  for (const node of nodes) cluster.add(node);
  return { cluster, placer: new Placer(cluster, Demand.of(expected)) };
}

/** What a task costs on this very node. */
function at(placer: Placer, node: number, task: TaskShape) {
  return placer.best(task, undefined, (each) => each === node);
}

describe('where a task goes', () => {
  test('a share joins the share that it makes a whole with, and no other GPU', () => {
    const half = taskOf({ gpuMilli: 470 });
    const { placer } = placerOf(
      [nodeOf([1_000]), nodeOf([530]), nodeOf([680])],
      [half, half, taskOf({ gpuMilli: 680 }), taskOf({ gpuMilli: 320 }), taskOf()],
    );
    expect(placer.best(half)).toMatchObject({ node: 1, gpus: [0] });
    expect(placer.best(taskOf({ gpuMilli: 680 }))).toMatchObject({ node: 2, gpus: [0] });
    expect(placer.best(taskOf())).toMatchObject({ node: 0, gpus: [0] });
  });

  test('tasks that need little CPU go where CPU is short, tasks that need much go where it is not', () => {
    const light = taskOf({ cpuMilli: 2_000 });
    const heavy = taskOf({ cpuMilli: 20_000 });
    const short = nodeOf([1_000, 1_000], { cpuMilli: 22_500 });
    const rich = nodeOf([1_000, 1_000], { cpuMilli: 96_000 });
    const { placer } = placerOf([rich, short], [light, heavy]);
    expect(placer.best(light)?.node).toBe(1);
    expect(placer.best(heavy)?.node).toBe(0);
  });

  test('memory that runs short counts like CPU that runs short', () => {
    const light = taskOf({ memoryMib: 2_048 });
    const heavy = taskOf({ memoryMib: 60_000 });
    const short = nodeOf([1_000, 1_000], { memoryMib: 64_000 });
    const { placer } = placerOf([nodeOf([1_000, 1_000]), short], [light, heavy]);
    expect(placer.best(light)?.node).toBe(1);
    expect(placer.best(heavy)?.node).toBe(0);
  });

  test('a whole node is kept for a task that needs it, as long as another place will do', () => {
    const idle = Array.from({ length: 8 }, () => 1_000);
    const eight = taskOf({ gpuCount: 8, cpuMilli: 64_000 });
    const { placer } = placerOf([nodeOf(idle), nodeOf([0, ...idle.slice(1)])], [eight, taskOf()]);
    expect(placer.best(taskOf())?.node).toBe(1);
    expect(placer.best(eight)).toMatchObject({ node: 0, gpus: [0, 1, 2, 3, 4, 5, 6, 7] });
  });

  test('a task that takes any kind leaves the kind that others insist on', () => {
    const rare = nodeOf([1_000], { gpus: [{ kind: 'H100', freeMilli: 1_000 }] });
    const insisting = taskOf({ kinds: ['H100'] });
    const { placer } = placerOf([rare, nodeOf([1_000])], [insisting, taskOf()]);
    expect(placer.best(taskOf())?.node).toBe(1);
    expect(placer.best(insisting)?.node).toBe(0);
  });

  test('on a machine with several kinds, only accepted GPUs are taken, the one less asked for first', () => {
    const mixed = nodeOf([], {
      gpus: [
        { kind: 'H100', freeMilli: 1_000 },
        { kind: 'T4', freeMilli: 1_000 },
        { kind: 'H100', freeMilli: 1_000 },
      ],
    });
    const { placer } = placerOf([mixed], [taskOf({ kinds: ['H100'] }), taskOf()]);
    expect(placer.best(taskOf())?.gpus).toEqual([1]);
    expect(placer.best(taskOf({ kinds: ['H100'], gpuCount: 2 }))?.gpus).toEqual([0, 2]);
    expect(placer.best(taskOf({ kinds: ['H100'], gpuMilli: 500 }))?.gpus).not.toEqual([1]);
    expect(placer.best(taskOf({ kinds: ['V100'] }))).toBeNull();
    expect(placer.best(taskOf({ gpuCount: 3 }))?.gpus).toEqual([0, 1, 2]);
  });

  test('a task without a GPU goes where it strands none', () => {
    const { placer } = placerOf(
      [nodeOf([1_000, 1_000], { cpuMilli: 12_000 }), nodeOf([0, 0], { cpuMilli: 32_000 })],
      [taskOf({ cpuMilli: 6_000 })],
    );
    expect(placer.best(taskOf({ gpuCount: 0, cpuMilli: 8_000 }))).toMatchObject({ node: 1, gpus: [] });
  });

  test('what else speaks against a node is weighed, and an excluded node is never chosen', () => {
    const nodes = [0, 1, 2].map((label) => nodeOf([1_000], { label }));
    const { placer } = placerOf(nodes, [taskOf()]);
    expect(placer.best(taskOf(), (label) => [30, 10, 20][label] ?? null)?.node).toBe(1);
    expect(placer.best(taskOf(), (label) => (label === 2 ? 500 : null))?.node).toBe(2);
    expect(placer.best(taskOf(), () => null)).toBeNull();
    expect(
      placer.best(
        taskOf(),
        () => 0,
        (node) => node === 1,
      )?.node,
    ).toBe(1);
    expect(
      placer.best(
        taskOf(),
        () => 0,
        () => false,
      ),
    ).toBeNull();
  });

  test('a kind of GPU that joins later is taken into account', () => {
    const { cluster, placer } = placerOf([nodeOf([0])], [taskOf()]);
    const wanted = taskOf({ kinds: ['B200'] });
    expect(placer.best(wanted)).toBeNull();
    cluster.add(nodeOf([], { gpus: [{ kind: 'B200', freeMilli: 1_000 }] }));
    expect(placer.best(wanted)?.node).toBe(1);
  });

  test('costs follow what is learnt of demand, also those that were asked for before', () => {
    const cluster = new Cluster();
    cluster.add(nodeOf([1_000]));
    const demand = new Demand();
    const placer = new Placer(cluster, demand);
    const big = taskOf({ gpuMilli: 800 });
    // Nobody asks for 200 thousandths as far as is known, so the rest of the GPU would be lost.
    expect(at(placer, 0, big)?.costMilli).toBeCloseTo(200, 0);
    for (let i = 0; i < 50; i += 1) demand.observe(i % 2 ? big : taskOf({ gpuMilli: 200 }));
    expect(at(placer, 0, big)?.costMilli).toBeLessThan(50);
  });

  test('with nothing known of demand it still places', () => {
    const cluster = new Cluster();
    cluster.add(nodeOf([1_000]));
    const demand = new Demand();
    const placer = new Placer(cluster, demand);
    expect(placer.best(taskOf())).toMatchObject({ node: 0, gpus: [0] });
    demand.observe(taskOf({ gpuMilli: 500 }));
    expect(placer.best(taskOf({ gpuMilli: 500 }))).toMatchObject({ node: 0, gpus: [0] });
  });
});

const someTask = fc.record({
  cpuMilli: fc.constantFrom(500, 3_000, 12_000, 30_000),
  memoryMib: fc.constantFrom(1_024, 60_000),
  gpuCount: fc.constantFrom(0, 1, 1, 1, 2, 4),
  gpuMilli: fc.constantFrom(100, 300, 470, 810, 1_000),
  kinds: fc.constantFrom<string[]>([], ['A100'], ['T4', 'A100'], ['P100']),
});

const someNode = fc.record({
  cpuMilli: fc.constantFrom(8_000, 32_000, 96_000),
  memoryMib: fc.constantFrom(32_768, 262_144),
  shares: fc.boolean(),
  gpus: fc.array(
    fc.record({
      kind: fc.constantFrom('A100', 'T4', 'P100'),
      freeMilli: fc.constantFrom(0, 190, 530, 1_000, 1_000),
    }),
    { maxLength: 4 },
  ),
});

describe('whatever is asked and offered', () => {
  test('a placement always fits, and none is refused while one node fits', () => {
    fc.assert(
      fc.property(
        fc.array(someTask, { minLength: 1, maxLength: 30 }),
        fc.array(someNode, { minLength: 1, maxLength: 5 }),
        (tasks, nodes) => {
          const { cluster, placer } = placerOf(nodes, tasks);
          for (const task of tasks) {
            const accepts = acceptedKinds(cluster, task.kinds);
            const fitting = nodes.flatMap((_, node) =>
              fitsState(cluster.stateOf(node), task, accepts) ? [node] : [],
            );
            const choice = placer.best(task);
            if (!choice) {
              expect(fitting).toEqual([]);
              continue;
            }
            expect(fitting).toContain(choice.node);
            const { gpus, shares } = cluster.read(choice.node);
            if (task.gpuCount === 1 && task.gpuMilli < 1_000) expect(shares).toBe(true);
            for (const gpu of choice.gpus) {
              if (task.kinds.length > 0) expect(task.kinds).toContain(gpus[gpu]?.kind);
            }
            cluster.take(choice.node, task, choice.gpus); // throws when it does not fit
          }
        },
      ),
    );
  });

  test('remembered costs equal costs computed for the first time', () => {
    fc.assert(
      fc.property(
        fc.array(someTask, { minLength: 1, maxLength: 25 }),
        fc.array(someNode, { minLength: 1, maxLength: 6 }),
        (tasks, nodes) => {
          const { cluster, placer } = placerOf(nodes, tasks);
          // Made at the same moment, so with the same estimates, and asked nothing until the end.
          const fresh = new Placer(cluster, Demand.of(tasks));
          for (const task of tasks) {
            const choice = placer.best(task);
            if (choice) cluster.take(choice.node, task, choice.gpus);
          }
          for (const task of tasks) {
            for (let node = 0; node < nodes.length; node += 1) {
              const remembered = at(placer, node, task);
              const computed = at(fresh, node, task);
              expect(remembered?.gpus).toEqual(computed?.gpus);
              if (computed) expect(remembered?.costMilli).toBeCloseTo(computed.costMilli, 6);
            }
            const best = placer.best(task);
            if (best) expect(at(placer, best.node, task)?.costMilli).toBeCloseTo(best.costMilli, 6);
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});
