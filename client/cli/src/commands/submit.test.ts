import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeRegistryLogin, registryLoginHeader } from '@computefabric/protocol/registry-login';
import { streamJob } from '@computefabric/protocol/user-api/logs';
import { cancelJob, createJob, getJob, listJobs } from '@computefabric/protocol/user-api/jobs';
import { listArtifacts } from '@computefabric/protocol/user-api/artifacts';
import { createQuote, listOffers } from '@computefabric/protocol/user-api/quotes';
import type { JobView } from '@computefabric/protocol/user-api/jobs';
import { newId } from '@computefabric/protocol/ids';
import { jobStream, type StreamItem, type StreamScript } from '@computefabric/api-client/testing/job-stream';
import {
  sampleEndedJob,
  sampleEvent,
  sampleJob,
  sampleLog,
  sampleOffer,
  sampleQuote,
  sampleTime,
  sampleWaiting,
  summaryOf,
} from '@computefabric/api-client/testing/sample-data';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { jsonLines, onlyJson, Workbench } from '../testing/run-cfab.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

const submit = ['submit', '--image', 'busybox', '--gpus', '1', '--command', 'echo hello; exit 3'];

/** A market in which the next job goes as `ended` and `steps` say. */
function scenario(ended: JobView, steps: StreamScript['steps'], script: Partial<StreamScript> = {}): void {
  const end: StreamItem = { type: 'end', data: summaryOf(ended) };
  const queued = sampleJob({ id: ended.id, name: ended.name });
  let over = false;
  bench.market
    .on(createQuote, () => sampleQuote())
    .on(createJob, () => queued)
    .on(streamJob, jobStream({ ...script, steps: [...steps, () => (over = true), end] }))
    .on(getJob, () => (over ? ended : queued))
    .on(listArtifacts, () => ({ items: [] }));
}

/** Events of a job that ran, with output between them. */
function ran(...output: StreamItem[]): StreamItem[] {
  return [
    { type: 'job', data: sampleEvent(1) },
    {
      type: 'job',
      data: sampleEvent(2, { type: 'started', message: 'The program runs.', state: 'running' }),
    },
    ...output,
    { type: 'job', data: sampleEvent(3, { type: 'exited', message: 'It has ended.', state: 'finishing' }) },
  ];
}

const hello: StreamItem = { type: 'log', data: sampleLog(0, 'hello\n') };

describe('an attached job', () => {
  test('its stdout alone is stdout, its stderr and our talk are stderr; a failure exits 100', async () => {
    const oops: StreamItem = { type: 'log', data: sampleLog(1, 'oops\n', { stream: 'stderr' }) };
    scenario(sampleEndedJob(3), ran(hello, oops));
    const { code, stdout, stderr } = await bench.run([...submit, '--yes']);
    expect(stdout).toBe('hello\n');
    expect(code).toBe(100);
    expect(stderr).toMatch(/^oops$/m);
    expect(stderr).toContain('Plan');
    expect(stderr).toContain('$0.34');
    expect(stderr).toMatch(/started\s+The program runs\.\s+billed/);
    expect(stderr).toMatch(/failed\s+The program ended with an error\.\s+exit code 3/);
    expect(stderr).toContain('10.0 s × $0.34/h = $0.000944 (play money)');
    expect(stderr).not.toContain('\u001b');
  });

  test("--exit-code-from-job ends with the program's own code", async () => {
    scenario(sampleEndedJob(3), ran(hello));
    expect((await bench.run([...submit, '--yes', '--exit-code-from-job'])).code).toBe(3);
  });

  test('bytes into a pipe are exact, whatever they are', async () => {
    const bytes = Buffer.from([0x1b, 0x5d, 0x30, 0x3b, 0x07, 0xff, 0x00, 0x0d, 0x0a]);
    const data = sampleLog(0, bytes.toString('base64'), { encoding: 'base64' });
    scenario(sampleEndedJob(0), ran({ type: 'log', data }));
    const running = bench.start([...submit, '--yes']);
    const parts: Buffer[] = [];
    running.child.stdout
      ?.setEncoding('latin1')
      .on('data', (part: string) => parts.push(Buffer.from(part, 'latin1')));
    expect((await running.result()).code).toBe(0);
    expect(Buffer.concat(parts)).toEqual(bytes);
  });

  test('a connection that is cut in the middle costs no line and doubles none; one line says so', async () => {
    const lines: StreamItem[] = Array.from({ length: 9 }, (_, seq) => ({
      type: 'log',
      data: sampleLog(seq, `line ${seq}\n`),
    }));
    scenario(sampleEndedJob(0), ran(...lines), { cutAfter: [5], repeats: true });
    const { code, stdout, stderr } = await bench.run([...submit, '--yes']);
    expect(code).toBe(0);
    expect(stdout).toBe(Array.from({ length: 9 }, (_, seq) => `line ${seq}\n`).join(''));
    expect(stderr.match(/— reconnected, .* gap filled —/g)).toHaveLength(1);
  });

  test('--json is one event per line and ends with the whole job and both exit codes', async () => {
    scenario(sampleEndedJob(3), ran(hello));
    const { code, stdout, stderr } = await bench.run([...submit, '--yes', '--json']);
    expect(code).toBe(100);
    expect(stderr).toBe('');
    const lines = jsonLines(stdout);
    expect(lines.map(({ event }) => event)).toEqual(['submitted', 'job', 'job', 'log', 'job', 'end']);
    expect(lines.every(({ schema_version }) => schema_version === 1)).toBe(true);
    expect(lines[3]).toMatchObject({ stream: 'stdout', data: 'hello\n' });
    expect(lines.at(-1)).toMatchObject({
      state: 'failed',
      exit_code: 3,
      cli_exit_code: 100,
      cost_micros: '944',
    });
  });

  test('the bill is waited for', async () => {
    const ended = sampleEndedJob(0);
    scenario(ended, ran(hello));
    let looks = 0;
    bench.market.on(getJob, () => {
      looks += 1;
      return looks < 3 ? { ...ended, cost: { ...ended.cost, payment_state: 'pending' as const } } : ended;
    });
    const { stdout } = await bench.run([...submit, '--yes', '--json']);
    expect(jsonLines(stdout).at(-1)).toMatchObject({ cost: { payment_state: 'succeeded' } });
  });

  test('result files are named with the command that fetches them', async () => {
    scenario(sampleEndedJob(0), ran(hello));
    const item = {
      id: newId('artifact'),
      attempt: 1,
      path: 'm',
      size_bytes: 14_000,
      sha256: 'a',
      created_at: sampleTime,
    };
    bench.market.on(listArtifacts, () => ({ items: [item] }));
    const { stderr } = await bench.run([...submit, '--yes']);
    expect(stderr).toContain('1 file, 14 kB   cfab artifacts mnist-7k2 --download');
  });
});

describe('ends', () => {
  test.each<[number, Partial<JobView>]>([
    [0, { state: 'succeeded', end_reason: 'exited-zero' }],
    [5, { state: 'expired', end_reason: 'no-match-in-time', exit_code: null }],
    [6, { state: 'expired', end_reason: 'funds-exhausted', exit_code: null }],
    [100, { state: 'expired', end_reason: 'time-limit', exit_code: null }],
    [103, { state: 'cancelled', end_reason: 'cancelled', exit_code: null }],
    [104, { state: 'failed', end_reason: 'provider-lost', exit_code: null }],
  ])('exit code %i for %j', async (code, job) => {
    scenario(sampleEndedJob(0, job), []);
    expect((await bench.run([...submit, '--yes'])).code).toBe(code);
  });
});

describe('detached', () => {
  test('prints the name alone, and how to follow and stop it on stderr', async () => {
    scenario(sampleEndedJob(0), []);
    const { code, stdout, stderr } = await bench.run([...submit, '--yes', '-d']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'mnist-7k2\n' });
    expect(stderr).toContain('cfab logs -f mnist-7k2');
    expect(stderr).toContain('cfab cancel mnist-7k2');
    expect(bench.market.seen(streamJob)).toHaveLength(0);
  });

  test('--json prints exactly one object with the id, and asks for no plan', async () => {
    const job = sampleEndedJob(0);
    scenario(job, []);
    const { code, stdout, stderr } = await bench.run([...submit, '--yes', '--json', '--detach']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(onlyJson(stdout)).toMatchObject({ schema_version: 1, id: job.id, state: 'queued' });
    expect(bench.market.seen(createQuote)).toHaveLength(0);
  });

  test('the job that is submitted is the one that the flags describe', async () => {
    scenario(sampleEndedJob(0), []);
    const argv = ['python', '-c', 'print("--yes")'];
    const machine = ['--gpu', 'RTX 4090|A10', '--vram', '24GB', '--max-price', '0.5'];
    const rest = ['--image', 'python:3.12', '--env', 'A=b=c', '--time-limit', '10m', '--', ...argv];
    await bench.run(['submit', '-y', '-d', ...machine, ...rest]);
    expect(bench.market.seen(createJob)[0]?.body).toMatchObject({
      command: argv,
      env: { A: 'b=c' },
      requirements: { gpus: 1, gpu_models: ['RTX 4090', 'A10'], min_vram_mib: 22_889 },
      time_limit_seconds: 600,
      max_price_per_hour_micros: '500000',
    });
  });
});

describe('before anything is spent', () => {
  test('a registry login comes from a file, goes beside the job and is shown nowhere', async () => {
    scenario(sampleEndedJob(0), ran());
    const file = join(bench.home, 'token');
    await writeFile(file, 's3cret-token\n');
    const flags = ['--registry-user', 'somebody', '--registry-password-file', file];
    const { code, stdout, stderr } = await bench.run([...submit, '--yes', '--detach', ...flags]);
    expect(code).toBe(0);
    const [asked] = bench.market.seen(createJob);
    expect(decodeRegistryLogin(String(asked?.headers[registryLoginHeader]))).toEqual({
      username: 'somebody',
      password: 's3cret-token',
    });
    expect(stdout + stderr + JSON.stringify(asked?.body)).not.toContain('s3cret');
    const half = await bench.run([...submit, '--yes', '--registry-user', 'somebody']);
    expect(half).toMatchObject({ code: 2, stderr: expect.stringContaining('go together') });
    const many = await bench.run([...submit, '--yes', '--array', '2', ...flags]);
    expect(many).toMatchObject({ code: 2, stderr: expect.stringContaining('for one job') });
  });

  test('without a terminal and without --yes: exit 2, naming the flag, and the server is not even asked', async () => {
    for (const more of [[], ['--no-input'], ['--json']]) {
      const { code, stdout, stderr } = await bench.run([...submit, ...more]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain('--yes');
    }
    expect(bench.market.requests).toEqual([]);
  });

  test('--plan: 0 when a machine is free; the plan is the data and nothing is submitted', async () => {
    bench.market.on(createQuote, () => sampleQuote());
    const { code, stdout, stderr } = await bench.run([...submit, '--plan']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('RTX 4090 (simulated)');
    expect(stdout).toContain('at most $0.50');
    const json = await bench.run([...submit, '--plan', '--json']);
    expect(onlyJson(json.stdout)).toMatchObject({ schema_version: 1, matches: true, hold_micros: '500000' });
    expect(bench.market.seen(createJob)).toHaveLength(0);
  });

  test('--plan: 5 when none is, with what was asked, what there is and what would do', async () => {
    bench.market.on(createQuote, () => sampleQuote({ offers: [], waiting: sampleWaiting() }));
    const { code, stdout, stderr } = await bench.run([...submit, '--plan', '--vram', '80GB']);
    expect(code).toBe(5);
    expect(stdout).toContain('--vram 24GiB');
    expect(stderr).toContain('no machine can run this job now');
    expect(stderr).toContain('≥ 80 GB');
    const json = await bench.run([...submit, '--plan', '--json']);
    expect({ code: json.code, stderr: json.stderr }).toEqual({ code: 5, stderr: '' });
    expect(onlyJson(json.stdout)).toMatchObject({ matches: false });
  });

  test('too little money: 6, from the plan and from the market', async () => {
    bench.market.on(createQuote, () => sampleQuote({ affordable: false, balance_micros: '100000' }));
    const plan = await bench.run([...submit, '--yes']);
    expect(plan.code).toBe(6);
    expect(plan.stderr).toMatch(/balance\s+\$0\.10/);
    bench.market.on(createJob, () => ({ refuse: 'ledger/insufficient-funds' }));
    const market = await bench.run([...submit, '--yes', '--json']);
    expect({ code: market.code, stdout: market.stdout }).toEqual({ code: 6, stdout: '' });
    expect(onlyJson(market.stderr)).toMatchObject({ error: { code: 'ledger/insufficient-funds' } });
  });

  test('a misspelt GPU is named with the one that is there, and nothing is submitted', async () => {
    bench.market
      .on(createQuote, () => sampleQuote({ offers: [], waiting: sampleWaiting() }))
      .on(listOffers, () => ({ items: [sampleOffer()] }));
    const { code, stderr } = await bench.run([...submit, '--yes', '--gpu', 'RTX4O90']);
    expect(code).toBe(2);
    expect(stderr).toContain('a similar GPU exists: NVIDIA GeForce RTX 4090');
    expect(bench.market.seen(createJob)).toHaveLength(0);
  });

  test('a wrong value is refused here, by its flag, in both forms of output', async () => {
    const text = await bench.run(['submit', '--yes', '--image', 'x', '--gpus', '99']);
    expect(text.code).toBe(2);
    expect(text.stderr).toContain('--gpus');
    const json = await bench.run(['submit', '--yes', '--json', '--image', 'x', '--memory', 'lots']);
    expect({ code: json.code, stdout: json.stdout }).toEqual({ code: 2, stdout: '' });
    expect(onlyJson(json.stderr)).toMatchObject({ error: { code: 'cli/usage', cli_exit_code: 2 } });
    expect(bench.market.requests).toEqual([]);
  });

  test('a command without -- is told where it goes', async () => {
    const { code, stderr } = await bench.run(['submit', '--yes', '--image', 'x', 'python', 'train.py']);
    expect(code).toBe(2);
    expect(stderr).toContain('put -- before the command');
  });
});

describe('leaving', () => {
  /** A job that runs until the test is over. */
  function endless(): JobView {
    const job = sampleJob({
      state: 'running',
      cost: { ...sampleJob().cost, accrued_micros: '600', rate_per_hour_micros: '340000', billable: true },
    });
    bench.market
      .on(createQuote, () => sampleQuote())
      .on(createJob, () => job)
      .on(getJob, () => job)
      .on(streamJob, jobStream({ steps: [...ran(hello).slice(0, 3), () => new Promise(() => {})] }));
    return job;
  }

  test.each(['SIGINT', 'SIGHUP'] as const)(
    '%s detaches: exit 130, cost, rate, cap and two commands',
    async (signal) => {
      endless();
      const running = bench.start([...submit, '--yes']);
      await expect.poll(() => running.stdout, { timeout: 20_000 }).toContain('hello');
      running.child.kill(signal);
      const { code, stdout, stderr } = await running.result();
      expect({ code, stdout }).toEqual({ code: 130, stdout: 'hello\n' });
      expect(stderr).toMatch(
        /Detached\. mnist-7k2 is still running\.\n.*so far, \$0\.34\/h, stops at \$0\.50/,
      );
      expect(stderr).toContain('cfab logs -f mnist-7k2');
      expect(stderr).toContain('cfab cancel mnist-7k2');
      expect(bench.market.seen(cancelJob)).toHaveLength(0);
    },
  );

  test('from a server that is gone: no old numbers, and still how to come back', async () => {
    endless();
    const running = bench.start([...submit, '--yes']);
    await expect.poll(() => running.stdout, { timeout: 20_000 }).toContain('hello');
    await bench.market.stop();
    running.child.kill('SIGINT');
    const { code, stderr } = await running.result();
    expect(code).toBe(130);
    expect(stderr).toContain('goes on; the server does not answer now. At most $0.50.');
    expect(stderr).toContain('cfab logs -f mnist-7k2');
    expect(stderr).not.toContain('so far');
  });

  test('with --json the last line says that it was left', async () => {
    const job = endless();
    const running = bench.start([...submit, '--yes', '--json']);
    await expect.poll(() => running.stdout, { timeout: 20_000 }).toContain('hello');
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.result();
    expect({ code, stderr }).toEqual({ code: 130, stderr: '' });
    expect(jsonLines(stdout).at(-1)).toMatchObject({ event: 'detached', id: job.id, cli_exit_code: 130 });
  });

  test('a second Ctrl-C leaves at once, whatever the server does', async () => {
    endless();
    const running = bench.start([...submit, '--yes']);
    await expect.poll(() => running.stdout, { timeout: 20_000 }).toContain('hello');
    let asked = false;
    bench.market.on(getJob, () => () => {
      asked = true; // and no answer
    });
    running.child.kill('SIGINT');
    await expect.poll(() => asked, { timeout: 5_000 }).toBe(true);
    const since = performance.now();
    const again = setInterval(() => running.child.kill('SIGINT'), 50);
    expect((await running.result()).code).toBe(130);
    clearInterval(again);
    expect(performance.now() - since).toBeLessThan(1_500);
  });

  test('--cancel-on-interrupt stops the job and waits for its end: exit 103', async () => {
    const job = endless();
    const cancelled = sampleEndedJob(0, {
      id: job.id,
      state: 'cancelled',
      end_reason: 'cancelled',
      exit_code: null,
    });
    bench.market.on(cancelJob, () => {
      const end: StreamItem = { type: 'end', data: summaryOf(cancelled) };
      bench.market
        .on(getJob, () => cancelled)
        .on(streamJob, jobStream({ steps: [...ran(hello).slice(0, 3), end] }));
      return job;
    });
    bench.market.on(listArtifacts, () => ({ items: [] }));
    const running = bench.start([...submit, '--yes', '--cancel-on-interrupt']);
    await expect.poll(() => running.stdout, { timeout: 20_000 }).toContain('hello');
    running.child.kill('SIGINT');
    const { code, stdout } = await running.result();
    expect({ code, stdout }).toEqual({ code: 103, stdout: 'hello\n' });
    expect(bench.market.seen(cancelJob)).toHaveLength(1);
  });

  test('Ctrl-C before the job exists: nothing was submitted, and it says so', async () => {
    bench.market.on(createQuote, () => () => {}); // no answer
    const running = bench.start([...submit, '--yes']);
    await expect.poll(() => bench.market.seen(createQuote).length, { timeout: 20_000 }).toBe(1);
    running.child.kill('SIGINT');
    const { code, stdout, stderr } = await running.result();
    expect({ code, stdout }).toEqual({ code: 130, stdout: '' });
    expect(stderr).toContain('Nothing was submitted, nothing was charged.');
    expect(bench.market.seen(createJob)).toHaveLength(0);
  });

  test('Ctrl-C while the job is being submitted waits for the truth: it was', async () => {
    const job = sampleJob();
    let answer = () => {};
    bench.market
      .on(createQuote, () => sampleQuote())
      .on(getJob, () => job)
      .on(createJob, () => (response) => {
        answer = () => {
          response.writeHead(201, { 'content-type': 'application/json' }).end(JSON.stringify(job));
        };
      });
    const running = bench.start([...submit, '--yes']);
    await expect.poll(() => bench.market.seen(createJob).length, { timeout: 20_000 }).toBe(1);
    running.child.kill('SIGINT');
    await expect.poll(() => running.stderr, { timeout: 5_000 }).toContain('Finding out');
    answer();
    const { code, stderr } = await running.result();
    expect(code).toBe(130);
    expect(stderr).toContain('had been submitted already');
    expect(stderr).toContain('cfab cancel mnist-7k2');
  });

  test('Ctrl-C while the job is being submitted waits for the truth: it was refused', async () => {
    let answer = () => {};
    bench.market
      .on(createQuote, () => sampleQuote())
      .on(createJob, async () => {
        await new Promise<void>((resolve) => (answer = resolve));
        return { refuse: 'job/name-taken' };
      });
    const running = bench.start([...submit, '--yes']);
    await expect.poll(() => bench.market.seen(createJob).length, { timeout: 20_000 }).toBe(1);
    running.child.kill('SIGINT');
    await expect.poll(() => running.stderr, { timeout: 5_000 }).toContain('Finding out');
    answer();
    const { code, stderr } = await running.result();
    expect(code).toBe(130);
    expect(stderr).toContain('Nothing was submitted');
  });

  test('a connection that breaks while submitting is tried again under the same key; one job', async () => {
    const job = sampleJob();
    let tries = 0;
    bench.market
      .on(createQuote, () => sampleQuote())
      .on(createJob, () => {
        tries += 1;
        return tries === 1 ? (response) => void response.destroy() : job;
      });
    expect((await bench.run([...submit, '--yes', '--detach'])).code).toBe(0);
    const keys = bench.market.seen(createJob).map(({ headers }) => headers['idempotency-key']);
    expect(keys).toHaveLength(2);
    expect(new Set(keys).size).toBe(1);
  });

  test('when it cannot be found out whether there is a job, that is what is said: exit 7', async () => {
    bench.market
      .on(createQuote, () => sampleQuote())
      .on(createJob, () => (response) => void response.destroy());
    const { code, stderr } = await bench.run([...submit, '--yes']);
    expect(code).toBe(7);
    expect(stderr).toContain('not known whether the job was submitted');
    expect(stderr).toContain('cfab status --all -n 5');
  });
});

test('a job that waits says why and what would change it, also without a terminal', async () => {
  const queued = sampleJob({ waiting: sampleWaiting() });
  const ended = sampleEndedJob(0, { id: queued.id });
  scenario(ended, [
    () => expect.poll(() => bench.market.seen(getJob).length, { timeout: 25_000 }).toBeGreaterThan(0),
  ]);
  bench.market.on(getJob, () => queued).on(listJobs, () => ({ items: [], next_cursor: null }));
  const running = bench.start([...submit, '--yes']);
  await expect.poll(() => running.stderr, { timeout: 25_000 }).toContain('--vram 24GiB');
  expect(running.stderr).toContain('place 1 · No machine on the market has a GPU with 80 GB.');
  running.child.kill('SIGKILL');
  await running.result();
});
