import { jobStream, type StreamItem } from '@computefabric/api-client/testing/job-stream';
import {
  sampleEndedJob,
  sampleEvent,
  sampleJob,
  sampleLog,
  sampleQuote,
  sampleWaiting,
  summaryOf,
} from '@computefabric/api-client/testing/sample-data';
import { listArtifacts } from '@computefabric/protocol/user-api/artifacts';
import { whoAmI } from '@computefabric/protocol/user-api/account';
import { createJob, getJob, listJobs } from '@computefabric/protocol/user-api/jobs';
import { streamJob } from '@computefabric/protocol/user-api/logs';
import { createQuote } from '@computefabric/protocol/user-api/quotes';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type RunningCfab, Workbench } from './testing/run-cfab.ts';

/*
 * What only happens on a terminal. The terminal is real: a pseudo terminal of util-linux `script`, whose
 * options are those of Linux.
 */
vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

const esc = '\u001b';
const submit = ['submit', '--image', 'busybox', '--command', 'echo hello'];

function scenario(output: StreamItem[], waits?: Promise<void>): void {
  const job = sampleJob();
  const ended = sampleEndedJob(0, { id: job.id });
  let over = false;
  bench.market
    .on(createQuote, () => sampleQuote())
    .on(createJob, () => job)
    .on(listArtifacts, () => ({ items: [] }))
    .on(getJob, () => (over ? ended : { ...job, waiting: sampleWaiting() }))
    .on(
      streamJob,
      jobStream({
        steps: [
          { type: 'job', data: sampleEvent(1) },
          () => waits,
          { type: 'job', data: sampleEvent(2, { type: 'started', state: 'running' }) },
          ...output,
          () => (over = true),
          { type: 'end', data: summaryOf(ended) },
        ],
      }),
    );
}

async function shows(running: RunningCfab, text: string): Promise<void> {
  await expect.poll(() => running.stdout, { timeout: 20_000 }).toContain(text);
}

describe.skipIf(process.platform !== 'linux')('on a terminal', () => {
  test('plan and price, then the question; Enter submits', async () => {
    scenario([{ type: 'log', data: sampleLog(0, 'hello\n') }]);
    const running = bench.startOnTerminal(submit);
    await shows(running, 'Submit? [Y/n]');
    expect(running.stdout).toContain('at most $0.50');
    expect(bench.market.seen(createJob)).toHaveLength(0);
    running.type('\n');
    const { code, stdout } = await running.result();
    expect(code).toBe(0);
    expect(stdout).toContain('hello');
    expect(stdout).toContain('✓ succeeded');
    expect(stdout).toContain('Ctrl-C detaches');
  });

  test.each([
    ['n\n', 3, 'Nothing was submitted.'],
    ['what\nn\n', 3, 'Answer y or n.'],
    ['\u0004', 3, 'Nothing was submitted.'],
    ['\u0003', 130, 'Nothing was submitted, nothing was charged.'],
  ])('the answer %j: exit %i', async (answer, exit, said) => {
    scenario([]);
    const running = bench.startOnTerminal(submit);
    await shows(running, '[Y/n]');
    running.type(answer);
    const { code, stdout } = await running.result();
    expect(code).toBe(exit);
    expect(stdout).toContain(said);
    expect(bench.market.seen(createJob)).toHaveLength(0);
  });

  test('a job that fits nowhere is asked about with no as the answer of Enter', async () => {
    scenario([]);
    bench.market.on(createQuote, () => sampleQuote({ offers: [], waiting: sampleWaiting() }));
    const running = bench.startOnTerminal(submit);
    await shows(running, 'Submit it and let it wait? [y/N]');
    expect(running.stdout).toContain('--vram 24GiB');
    running.type('\n');
    expect((await running.result()).code).toBe(3);
  });

  test('Ctrl-C in the middle of output detaches, on a line of its own', async () => {
    scenario([]);
    const job = sampleJob({ state: 'running' });
    bench.market
      .on(getJob, () => job)
      .on(
        streamJob,
        jobStream({
          steps: [
            { type: 'log', data: sampleLog(0, `${esc}[31munfinished line`) },
            () => new Promise(() => {}),
          ],
        }),
      );
    const running = bench.startOnTerminal([...submit, '--yes']);
    await shows(running, 'unfinished line');
    running.type('\u0003');
    const { code, stdout } = await running.result();
    expect(code).toBe(130);
    expect(stdout).toMatch(
      /unfinished line(?:\^C)?(?:\u001b\[0m)?\r?\n(?:\^C)?Detached\. mnist-7k2 is still running\./,
    );
    expect(stdout).toContain(`${esc}[0m`);
  });

  test('what is said after Ctrl-C does not stand behind its echo', async () => {
    scenario([]);
    const running = bench.startOnTerminal(submit);
    await shows(running, '[Y/n]');
    running.type('\u0003');
    const { stdout } = await running.result();
    expect(stdout).toMatch(/\^C\r?\nStopped\./);
  });

  test("a job's output cannot drive the terminal; --raw lets it", async () => {
    const evil = `${esc}]0;owned\u0007${esc}[2J${esc}[31mred${esc}[0m\n`;
    scenario([{ type: 'log', data: sampleLog(0, evil) }]);
    const running = bench.startOnTerminal([...submit, '--yes'], { env: { NO_COLOR: undefined } });
    const { stdout } = await running.result();
    expect(stdout).toContain(`${esc}[31mred${esc}[0m`);
    expect(stdout).not.toContain('owned');
    expect(stdout).not.toContain(`${esc}[2J`);
    scenario([{ type: 'log', data: sampleLog(0, evil) }]);
    const raw = await bench.startOnTerminal([...submit, '--yes', '--raw']).result();
    expect(raw.stdout).toContain(`${esc}]0;owned\u0007${esc}[2J`);
  });

  test.each<[string, string[], Record<string, string>]>([
    ['NO_COLOR', [], { NO_COLOR: '1' }],
    ['TERM=dumb', [], { TERM: 'dumb' }],
    ['--no-color', ['--no-color'], {}],
  ])('%s: no escape, no line drawn over, the same facts', async (_, flags, env) => {
    let go = () => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    scenario([{ type: 'log', data: sampleLog(0, `${esc}[31mred${esc}[0m\n`) }], held);
    const running = bench.startOnTerminal([...submit, '--yes', ...flags], { env });
    await shows(running, 'place 1 · No machine');
    go();
    const { code, stdout } = await running.result();
    expect(code).toBe(0);
    expect(stdout).not.toContain(esc);
    expect(stdout).toContain('red');
    expect(stdout).toContain('✓ succeeded');
  });

  test('a wait is one line that moves, and is gone when the output comes', async () => {
    let go = () => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    scenario([{ type: 'log', data: sampleLog(0, 'hello\n') }], held);
    const running = bench.startOnTerminal([...submit, '--yes']);
    await shows(running, 'place 1 · No machine');
    expect(running.stdout).toMatch(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] queued/);
    go();
    const { stdout } = await running.result();
    const afterWait = stdout.slice(stdout.lastIndexOf(`${esc}[2K`));
    expect(afterWait).toContain('hello');
    expect(afterWait).not.toMatch(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/);
  });

  test('status --watch draws over itself and Ctrl-C leaves with 130', async () => {
    let looks = 0;
    bench.market.on(listJobs, () => {
      looks += 1;
      return { items: [summaryOf(sampleJob())], next_cursor: null };
    });
    const running = bench.startOnTerminal(['status', '--watch', '-n', '1']);
    await expect.poll(() => looks, { timeout: 20_000 }).toBeGreaterThan(1);
    await shows(running, `${esc}[2A${esc}[0J`);
    running.type('\u0003');
    expect((await running.result()).code).toBe(130);
  });

  test('a key that is typed is not shown', async () => {
    bench.market.on(whoAmI, () => ({ refuse: 'auth/invalid' }));
    const running = bench.startOnTerminal(['login', '--with-token'], {
      env: { COMPUTEFABRIC_TOKEN: undefined },
    });
    await shows(running, 'API key');
    running.type(`${bench.token}\r`);
    const { code, stdout } = await running.result();
    expect(code).toBe(4);
    expect(bench.market.seen(whoAmI)[0]?.headers.authorization).toBe(`Bearer ${bench.token}`);
    expect(stdout).not.toContain(bench.token);
  });
});
