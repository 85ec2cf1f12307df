import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { mutants } from './mutants.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** How many seeds each fault may hide from. */
const findWithin = 60;

async function simulate(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'tests/simulation/main.ts', ...args], {
    cwd: root,
  });
  let output = '';
  child.stdout.on('data', (part: Buffer) => (output += part.toString()));
  child.stderr.on('data', (part: Buffer) => (output += part.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('exit', resolve));
  return { code, output };
}

test('the scheduler keeps its promises in 240 storms', async () => {
  // Where the machine is slow, fewer of them: after so long it is enough, and the count is printed.
  const leastSeeds = 60;
  const { code, output } = await simulate('--seeds', '240', '--minutes', '2.5');
  expect(code, output.slice(-10_000)).toBe(0);
  const last = output.match(/(\d+) of 240 seeds, 0 failed.*/g)?.at(-1) ?? '';
  expect(Number.parseInt(last, 10)).toBeGreaterThanOrEqual(leastSeeds);
  console.log(last);
}, 300_000);

test.each(['7', '23', '31'])(
  'the seed %s gives the same trace again, byte by byte',
  async (seed) => {
    const folder = await mkdtemp(join(tmpdir(), 'computefabric-trace-'));
    try {
      const traces = ['first', 'second'].map((name) => join(folder, name));
      for (const file of traces) {
        const { code, output } = await simulate('--seed', seed, '--trace', file);
        expect(code, output).toBe(0);
      }
      const [first, second] = await Promise.all(traces.map((file) => readFile(file, 'utf8')));
      expect(first?.split('\n').length).toBeGreaterThan(100);
      expect(second).toBe(first);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  120_000,
);

test.each(Object.keys(mutants))(
  'a product with the fault %s is found out',
  async (mutant) => {
    const { code, output } = await simulate(
      '--seeds',
      String(findWithin),
      '--mutant',
      mutant,
      '--failures',
      '1',
    );
    expect(output).toContain('  violated: ');
    expect(output).toMatch(/again: npm run simulate -- --seed \d+ --mutant /);
    expect(code).toBe(1);
  },
  300_000,
);

test('what is asked of it wrongly is told with its usage, and counts as wrong use', async () => {
  expect(await simulate('--seeds', 'many')).toMatchObject({
    code: 2,
    output: expect.stringContaining('npm run simulate'),
  });
}, 60_000);
