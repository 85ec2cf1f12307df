import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { withDeadline } from '@computefabric/runtime/wait';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from './free-port.ts';
import { cleanEnv, Program, root, until } from './program.ts';

/*
 * Every command of the README and of docs/ is executed: against a market that `npm start` has started, in the
 * order of the page, in one shell per page. Only the addresses differ from what a reader has.
 */

/** Commands that this test leaves to another, or that would start it again. */
const elsewhere: Record<string, string> = {
  'npm start': 'beforeAll of this file',
  'npm test': 'is what runs this file',
  'npm run check': 'is part of npm test',
  'npm run db:generate': 'db/src/drizzle-kit.int.test.ts',
  'npx drizzle-kit generate': 'db/src/drizzle-kit.int.test.ts',
  'npx drizzle-kit push': 'db/src/drizzle-kit.int.test.ts',
  'npm start --workspace provider': 'the journeys start the same agent',
};

interface Block {
  page: string;
  commands: string[];
}

let blocks: Block[];
let home: string;
let market: Program;
let env: Record<string, string>;

beforeAll(async () => {
  blocks = await readBlocks();
  home = await mkdtemp(join(tmpdir(), 'computefabric-docs-'));
  await chmod(home, 0o755);
  env = {
    COMPUTEFABRIC_HOME: home,
    PORT: String(await freePort()),
    ORCHESTRATOR_PORT: String(await freePort()),
    XDG_CONFIG_HOME: join(home, 'config'),
  };
  market = new Program('npm start', join(root, 'scripts/start.mjs'), [], env);
  await until('the market of npm start', 280, async () => {
    if (!market.running) throw new Error(`npm start ended:\n${market.output}`);
    return market.output.includes('Ctrl-C');
  });
});
afterAll(async () => {
  await market?.stop(60);
  await removeEmbeddedPostgres({ home });
  await rm(home, { recursive: true, force: true });
});

async function readBlocks(): Promise<Block[]> {
  const docs = await readdir(join(root, 'docs'), { recursive: true });
  const pages = [
    'README.md',
    'CONTRIBUTING.md',
    ...docs.filter((name) => name.endsWith('.md')).map((name) => join('docs', name)),
  ];
  const found = await Promise.all(
    pages.map(async (page) => {
      const text = await readFile(join(root, page), 'utf8');
      return [...text.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map((match) => ({
        page,
        commands: joinContinued(match[1] ?? ''),
      }));
    }),
  );
  return found.flat();
}

/** Lines of a block as commands: continued lines joined, comments left out. */
function joinContinued(text: string): string[] {
  return text
    .replaceAll('\\\n', ' ')
    .split('\n')
    .map((line) => line.replace(/\s+# .*$/, '').trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

test('npm start has shown the job, its result, its bill and where things are', () => {
  expect(market.output).toMatch(/accuracy/i);
  expect(market.output).toMatch(/\$0\.0/);
  expect(market.output).toContain(`http://127.0.0.1:${env.PORT}`);
});

test('every command of the README and docs runs and succeeds', async () => {
  expect(blocks.flatMap(({ commands }) => commands).length).toBeGreaterThan(8);
  const pages = [...new Set(blocks.map(({ page }) => page))];
  for (const page of pages) {
    const commands = blocks
      .filter((block) => block.page === page)
      .flatMap((block) => block.commands)
      .filter((command) => !(command in elsewhere));
    if (commands.length === 0) continue;
    const script = [
      'set -euo pipefail',
      `source ${home}/dev.env`,
      ...commands.flatMap((command) => [`echo '+ ${command.replaceAll("'", "'\\''")}' >&2`, here(command)]),
    ].join('\n');
    const { code, output } = await shell(script);
    expect(code, `${page}\n${output}`).toBe(0);
  }
});

/** A command as it is on this test's market. */
function here(command: string): string {
  return command
    .replaceAll('.computefabric/', `${home}/`)
    .replaceAll('http://127.0.0.1:4000', `http://127.0.0.1:${env.ORCHESTRATOR_PORT}`)
    .replaceAll('http://127.0.0.1:3000', `http://127.0.0.1:${env.PORT}`);
}

async function shell(script: string): Promise<{ code: number | null; output: string }> {
  const child = spawn('bash', ['-c', script], {
    cwd: root,
    env: cleanEnv({ ...env, LOG_LEVEL: 'error' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => (output += bytes.toString()));
  try {
    await withDeadline(once(child, 'close'), 180_000, 'the commands of a page');
  } finally {
    child.kill('SIGKILL');
  }
  return { code: child.exitCode, output };
}

test('Ctrl-C stops everything: no process and no container is left', async () => {
  const children = await childrenOf(market.pid);
  expect(children.length).toBeGreaterThan(2);
  market.kill('SIGINT');
  const { code } = await market.finished(60);
  expect(code, market.output.slice(-2_000)).toBe(0);
  await until('all processes gone', 10, async () => children.every((pid) => !alive(pid)));
});

async function childrenOf(pid: number): Promise<number[]> {
  const stats = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map((name) => readFile(`/proc/${name}/stat`, 'utf8').catch(() => '')), // it may end while we look
  );
  return stats.flatMap((stat) => {
    const match = /^(\d+) \(.*\) \S (\d+)/.exec(stat);
    return match && Number(match[2]) === pid ? [Number(match[1])] : [];
  });
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false; // ESRCH: gone, which is the answer
  }
}
