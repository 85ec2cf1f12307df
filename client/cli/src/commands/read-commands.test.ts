import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { jobStream, type StreamItem } from '@computefabric/api-client/testing/job-stream';
import { startEvents } from '@computefabric/api-client/testing/fake-market';
import {
  sampleEndedJob,
  sampleEvent,
  sampleJob,
  sampleLease,
  sampleLog,
  sampleTime,
  sampleWaiting,
  summaryOf,
} from '@computefabric/api-client/testing/sample-data';
import { newId } from '@computefabric/protocol/ids';
import { type Artifact, downloadArtifact, listArtifacts } from '@computefabric/protocol/user-api/artifacts';
import {
  cancelJob,
  getJob,
  type JobView,
  listJobEvents,
  listJobs,
} from '@computefabric/protocol/user-api/jobs';
import { listGroups } from '@computefabric/protocol/user-api/groups';
import { getJobLogs, type LogEntry, streamJob } from '@computefabric/protocol/user-api/logs';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { jsonLines, onlyJson, Workbench } from '../testing/run-cfab.ts';
import { targetOf } from '../files/safe-target.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

/** An account with these jobs. */
function account(...jobs: JobView[]): void {
  bench.market
    .on(getJob, ({ params }) => {
      const job = jobs.find(({ id, name }) => id === params.job || name === params.job);
      return job ?? { refuse: 'job/not-found' };
    })
    .on(listGroups, () => ({ items: [], next_cursor: null }))
    .on(listJobs, ({ query }) => ({
      items: jobs
        .filter(({ state }) => query.state?.includes(state) ?? true)
        .filter(({ name, id }) => query.q === undefined || name.includes(query.q) || id.includes(query.q))
        .slice(0, query.limit)
        .map(summaryOf),
      next_cursor: null,
    }));
}

describe('status', () => {
  test('lists what is unfinished and the last one that ended', async () => {
    account(
      sampleJob({ name: 'waiting-1' }),
      sampleJob({ name: 'going-1', state: 'running' }),
      sampleEndedJob(0, { name: 'ended-2' }),
      sampleEndedJob(3, { name: 'ended-1' }),
    );
    const { code, stdout } = await bench.run(['status']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/waiting-1\s+◌ queued/);
    expect(stdout).toMatch(/going-1\s+● running/);
    expect(stdout).toContain('ended-2');
    expect(stdout).not.toContain('ended-1');
    const failed = await bench.run(['status', '--state', 'failed', '--json']);
    expect(onlyJson(failed.stdout)).toMatchObject({ items: [{ name: 'ended-1' }] });
    expect((await bench.run(['status', '--all'])).stdout).toContain('ended-1');
  });

  test('-n asks for so many, over pages', async () => {
    const jobs = Array.from({ length: 250 }, (_, index) => summaryOf(sampleJob({ name: `job-${index}` })));
    bench.market.on(listJobs, ({ query }) => {
      const from = Number(query.cursor ?? 0);
      const items = jobs.slice(from, from + query.limit);
      return { items, next_cursor: from + query.limit < jobs.length ? `${from + query.limit}` : null };
    });
    const { stdout } = await bench.run(['status', '-n', '230', '--json']);
    expect(onlyJson(stdout)).toMatchObject({ items: { length: 230 } });
  });

  test('of one job says why it waits and what would change it', async () => {
    account(sampleJob({ waiting: sampleWaiting() }));
    const { code, stdout } = await bench.run(['status', 'mnist-7k2']);
    expect(code).toBe(0);
    expect(stdout).toContain('not billed');
    expect(stdout).toContain('No machine on the market has a GPU with 80 GB.');
    expect(stdout).toContain('--vram 24GiB');
  });

  test('of one job shows each try, its machine and its bill', async () => {
    const leases = [
      sampleLease({ end_reason: 'provider-lost', exit_code: null, billed_ms: 0, cost_micros: '0' }),
      sampleLease({ attempt: 2, provider: { id: newId('provider'), name: 'amber-fox' } }),
    ];
    account(sampleEndedJob(0, { leases }));
    const { stdout } = await bench.run(['status', 'mnist-7k2']);
    expect(stdout).toMatch(/1\s+cobalt-otter.*provider-lost/);
    expect(stdout).toMatch(/2\s+amber-fox.*\$0\.000944\s+exited-zero, exit 0/);
  });

  test('names of others cannot write outside their place', async () => {
    const job = sampleJob({ image: 'x\u001b[2J\nforged' });
    account(job);
    const { stdout } = await bench.run(['status', 'mnist-7k2']);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).not.toMatch(/^forged/m);
  });

  test.each<[number, JobView]>([
    [0, sampleEndedJob(0)],
    [100, sampleEndedJob(3)],
    [101, sampleJob()],
    [103, sampleEndedJob(0, { state: 'cancelled', end_reason: 'cancelled' })],
  ])('--exit-status ends with %i', async (code, job) => {
    account(job);
    const result = await bench.run(['status', job.name, '--exit-status', '--json']);
    expect(result.code).toBe(code);
    expect(onlyJson(result.stdout)).toMatchObject({ id: job.id, cli_exit_code: code });
    expect((await bench.run(['status', job.name])).code).toBe(0);
  });

  test('--watch without a terminal appends what has changed, and ends with the job', async () => {
    const job = sampleJob();
    const states = ['queued', 'queued', 'running'] as const;
    let looks = 0;
    bench.market.on(getJob, () => {
      const state = states[looks];
      looks += 1;
      return state ? { ...job, state } : sampleEndedJob(0, { id: job.id });
    });
    const { code, stdout } = await bench.run(['status', 'mnist-7k2', '--watch', '--json']);
    expect(code).toBe(0);
    expect(jsonLines(stdout).map(({ state }) => state)).toEqual(['queued', 'running', 'succeeded']);
  });
});

describe('which job', () => {
  test('the beginning of a name is enough when only one job begins so', async () => {
    account(
      sampleJob({ name: 'mnist-7k2' }),
      sampleJob({ name: 'resnet-1' }),
      sampleJob({ name: 'resnet-2' }),
    );
    const { code, stdout } = await bench.run(['status', 'mni', '--json']);
    expect(code).toBe(0);
    expect(onlyJson(stdout)).toMatchObject({ name: 'mnist-7k2' });
    const many = await bench.run(['status', 'resnet']);
    expect(many.code).toBe(102);
    expect(many.stderr).toContain('2 jobs begin with "resnet"');
    expect(many.stderr).toContain('resnet-2');
  });

  test.each(['status', 'logs', 'wait', 'cancel', 'artifacts', 'explain'])(
    '%s of a job that does not exist: 102, with the nearest name',
    async (command) => {
      account(sampleJob());
      const { code, stdout, stderr } = await bench.run([command, 'mnits-7k2']);
      expect({ code, stdout }).toEqual({ code: 102, stdout: '' });
      expect(stderr).toContain('a similar job exists:   mnist-7k2');
      const json = await bench.run([command, '../me', '--json']);
      expect({ code: json.code, stdout: json.stdout }).toEqual({ code: 102, stdout: '' });
      expect(onlyJson(json.stderr)).toMatchObject({ error: { code: 'job/not-found', cli_exit_code: 102 } });
    },
  );
});

describe('logs', () => {
  /** Serves these entries in pages of three. */
  function output(entries: LogEntry[], job = sampleEndedJob(0)): void {
    account(job);
    bench.market.on(getJobLogs, ({ query }) => {
      const from = query.cursor === undefined ? 0 : Number(query.cursor.split('.')[1]);
      const wanted = entries.filter(
        ({ attempt }) => query.attempt === undefined || attempt === query.attempt,
      );
      const page = wanted.slice(from, from + 3);
      const next = from + page.length;
      return { entries: page, next_cursor: `1.${next}.0`, complete: next === wanted.length };
    });
  }
  const ten = Array.from({ length: 10 }, (_, seq) => sampleLog(seq, `line ${seq}\n`));

  test('stdout to stdout, stderr to stderr, every page', async () => {
    output([...ten, sampleLog(10, 'warning\n', { stream: 'stderr' })]);
    const { code, stdout, stderr } = await bench.run(['logs', 'mnist-7k2']);
    expect(code).toBe(0);
    expect(stdout).toBe(ten.map(({ data }) => data).join(''));
    expect(stderr).toBe('warning\n');
  });

  test('--tail, --since, --timestamps and --attempt choose', async () => {
    const later = '2026-03-01T13:00:00.000Z';
    output([
      ...ten,
      sampleLog(0, 'a\nb', { attempt: 2, at: later }),
      sampleLog(1, 'c\nd\n', { attempt: 2, at: later }),
    ]);
    const [tail, since, second, stamped] = await Promise.all([
      bench.run(['logs', 'mnist-7k2', '--tail', '3']),
      bench.run(['logs', 'mnist-7k2', '--since', '2026-03-01T12:30:00Z']),
      bench.run(['logs', 'mnist-7k2', '--attempt', '2']),
      bench.run(['logs', 'mnist-7k2', '--attempt', '2', '-t']),
    ]);
    expect(tail.stdout).toBe('a\nbc\nd\n');
    expect(since.stdout).toBe('a\nbc\nd\n');
    expect(second.stdout).toBe('a\nbc\nd\n');
    expect(stamped.stdout).toBe(`${later} a\n${later} bc\n${later} d\n`);
  });

  test('no output is no error, and says which of both it is', async () => {
    output([], sampleJob());
    const waiting = await bench.run(['logs', 'mnist-7k2']);
    expect({ code: waiting.code, stdout: waiting.stdout }).toEqual({ code: 0, stdout: '' });
    expect(waiting.stderr).toContain('No output yet: mnist-7k2 is queued.');
    output([]);
    expect((await bench.run(['logs', 'mnist-7k2'])).stderr).toContain('wrote no output');
  });

  test('--json is one object, with the place to go on', async () => {
    output(ten);
    const { stdout } = await bench.run(['logs', 'mnist-7k2', '--json']);
    expect(onlyJson(stdout)).toMatchObject({
      entries: { length: 10 },
      next_cursor: '1.10.0',
      complete: true,
    });
  });

  test('-f follows to the end; with --tail it begins with the last lines and goes on from there', async () => {
    const job = sampleEndedJob(0);
    output(ten.slice(0, 6), job);
    const steps: StreamItem[] = [
      ...ten.map((data): StreamItem => ({ type: 'log', data })),
      { type: 'end', data: summaryOf(job) },
    ];
    // The cursor of a snapshot counts entries; that of the fake stream names the last one sent.
    bench.market.on(streamJob, (request) => {
      const cursor = request.query.cursor;
      const last = cursor === undefined ? undefined : Number(cursor.split('.')[1]) - 1;
      const headers = last === undefined ? {} : { 'last-event-id': `1.${last}.0` };
      return (response, incoming) =>
        jobStream({ steps })(request)(response, Object.assign(incoming, { headers: { ...headers } }));
    });
    const [all, tail] = await Promise.all([
      bench.run(['logs', '-f', 'mnist-7k2']),
      bench.run(['logs', '-f', '--tail', '2', 'mnist-7k2']),
    ]);
    expect(all).toMatchObject({ code: 0, stdout: ten.map(({ data }) => data).join('') });
    expect(tail.stdout).toBe(
      ten
        .slice(4)
        .map(({ data }) => data)
        .join(''),
    );
  });

  test('a network that is away for a while costs no line; -f --json tells it as an event', async () => {
    const job = sampleEndedJob(0);
    account(job);
    const steps: StreamItem[] = [
      ...ten.map((data): StreamItem => ({ type: 'log', data })),
      { type: 'end', data: summaryOf(job) },
    ];
    const streaming = jobStream({ steps, cutAfter: [4] });
    let refusals = 0;
    bench.market.on(streamJob, (request) => {
      const again = bench.market.seen(streamJob).length > 1;
      if (!again || refusals >= 2) return streaming(request);
      refusals += 1;
      return (response) => void response.destroy();
    });
    const { code, stdout, stderr } = await bench.run(['logs', '-f', '--json', 'mnist-7k2']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const lines = jsonLines(stdout);
    expect(lines.filter(({ event }) => event === 'log').map(({ seq }) => seq)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
    expect(lines.filter(({ event }) => event === 'reconnected')).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({ event: 'end', state: 'succeeded' });
  });

  test('a reader that goes away ends it quietly', async () => {
    const many = Array.from({ length: 3_000 }, (_, seq) => sampleLog(seq, `${'x'.repeat(200)}\n`));
    output(many);
    const running = bench.start(['logs', 'mnist-7k2']);
    running.child.stdout?.once('data', () => running.child.stdout?.destroy());
    const { code, stderr } = await running.result();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });
});

describe('wait', () => {
  test('--json ends with the job: state, exit code, cost and leases; the code tells how it ended', async () => {
    const ended = sampleEndedJob(4);
    let over = false;
    const queued = sampleJob({ id: ended.id });
    account(queued);
    bench.market
      .on(getJob, () => (over ? ended : queued))
      .on(
        streamJob,
        jobStream({
          steps: [
            { type: 'job', data: sampleEvent(1) },
            () => (over = true),
            { type: 'end', data: summaryOf(ended) },
          ],
        }),
      );
    const { code, stdout, stderr } = await bench.run(['wait', ended.id, '--json']);
    expect({ code, stderr }).toEqual({ code: 100, stderr: '' });
    expect(onlyJson(stdout)).toMatchObject({
      state: 'failed',
      exit_code: 4,
      cli_exit_code: 100,
      cost_micros: '944',
      leases: [{ exit_code: 4 }],
    });
    const own = await bench.run(['wait', ended.id, '--exit-code-from-job']);
    expect(own).toMatchObject({ code: 4, stdout: '' });
    expect(own.stderr).toContain('exit code 4');
  });

  test('--for running returns when it runs', async () => {
    account(sampleJob());
    const started = sampleEvent(2, { type: 'started', state: 'running' });
    bench.market.on(
      streamJob,
      jobStream({ steps: [{ type: 'job', data: started }, () => new Promise(() => {})] }),
    );
    expect((await bench.run(['wait', '--for', 'running', 'mnist-7k2'])).code).toBe(0);
    const wrong = await bench.run(['wait', '--for', 'runing', 'mnist-7k2']);
    expect(wrong.code).toBe(2);
    expect(wrong.stderr).toContain('a similar one exists: running');
  });

  test('--timeout: exit 124, with what it is doing', async () => {
    account(sampleJob());
    bench.market.on(streamJob, () => (response) => startEvents(response));
    const { code, stdout, stderr } = await bench.run(['wait', '--timeout', '1s', 'mnist-7k2', '--json']);
    expect({ code, stdout }).toEqual({ code: 124, stdout: '' });
    expect(onlyJson(stderr)).toMatchObject({ error: { code: 'cli/timeout', cli_exit_code: 124 } });
  });

  test('Ctrl-C stops waiting; the job goes on', async () => {
    account(sampleJob());
    bench.market.on(streamJob, () => (response) => startEvents(response));
    const running = bench.start(['wait', 'mnist-7k2']);
    await expect.poll(() => bench.market.seen(streamJob).length, { timeout: 20_000 }).toBe(1);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.result();
    expect(code).toBe(130);
    expect(stderr).toContain('Detached. mnist-7k2 is queued');
  });
});

describe('cancel', () => {
  test('asks once; a job that is cancelled already is as wanted, one that ended otherwise is not', async () => {
    const job = sampleJob();
    account(job);
    bench.market.on(cancelJob, () => ({ ...job, cancel_requested_at: sampleTime }));
    const asked = await bench.run(['cancel', 'mnist-7k2']);
    expect(asked).toMatchObject({ code: 0, stdout: '' });
    expect(asked.stderr).toContain('was asked to stop');

    const cancelled = sampleEndedJob(0, { state: 'cancelled', end_reason: 'cancelled' });
    account(cancelled);
    bench.market.on(cancelJob, () => ({ refuse: 'job/already-final' }));
    expect(await bench.run(['cancel', 'mnist-7k2', '--json'])).toMatchObject({ code: 0, stderr: '' });
    account(sampleEndedJob(0));
    const ended = await bench.run(['cancel', 'mnist-7k2']);
    expect(ended.code).toBe(1);
    expect(ended.stderr).toContain('has ended already: succeeded');
  });

  test('Ctrl-C of --wait stops waiting; the cancellation goes on', async () => {
    const job = sampleJob({ state: 'running' });
    account(job);
    bench.market.on(cancelJob, () => job).on(streamJob, () => (response) => startEvents(response));
    const running = bench.start(['cancel', '--wait', 'mnist-7k2']);
    await expect.poll(() => bench.market.seen(streamJob).length, { timeout: 20_000 }).toBe(1);
    running.child.kill('SIGINT');
    const { code, stderr } = await running.result();
    expect(code).toBe(130);
    expect(stderr).toContain('The cancellation of mnist-7k2 goes on.');
  });

  test('--wait returns when it has ended', async () => {
    const job = sampleJob({ state: 'running' });
    const cancelled = sampleEndedJob(0, { id: job.id, state: 'cancelled', end_reason: 'cancelled' });
    account(job);
    bench.market.on(cancelJob, () => {
      bench.market.on(getJob, () => cancelled);
      return job;
    });
    bench.market.on(streamJob, jobStream({ steps: [{ type: 'end', data: summaryOf(cancelled) }] }));
    const { code, stdout } = await bench.run(['cancel', '--wait', 'mnist-7k2', '--json']);
    expect(code).toBe(0);
    expect(onlyJson(stdout)).toMatchObject({ state: 'cancelled' });
  });
});

test('explain tells each rule and what would change it, and when it starts at the latest', async () => {
  account(sampleJob({ waiting: sampleWaiting({ expected_start: '2026-03-01T12:30:00.000Z' }) }));
  const { code, stdout } = await bench.run(['explain', 'mnist-7k2']);
  expect(code).toBe(0);
  expect(stdout).toContain('by 2026-03-01T12:30:00.000Z at the latest');
  expect(stdout).toMatch(/vram\s+2 of 2\s+2\s+2 machines have less/);
  const json = await bench.run(['explain', 'mnist-7k2', '--json']);
  expect(onlyJson(json.stdout)).toMatchObject({ state: 'queued', waiting: { position: 1 } });
});

test('explain of a job that has a machine tells what spoke for the one it has now', async () => {
  account(sampleJob({ state: 'running', waiting: null, leases: [sampleLease()] }));
  const matched = (seq: number, message: string) => sampleEvent(seq, { type: 'matched', message });
  const message = 'Offered to nebula at $0.35 per hour. All 40 MB of its saved state are there already.';
  bench.market.on(listJobEvents, () => ({
    items: [matched(2, 'Offered to elsewhere.'), sampleEvent(3), matched(4, message), sampleEvent(5)],
    next_cursor: null,
  }));
  expect((await bench.run(['explain', 'mnist-7k2'])).stdout).toContain(`running.\n  ${message}\n`);
  const json = await bench.run(['explain', 'mnist-7k2', '--json']);
  expect(onlyJson(json.stdout)).toMatchObject({ waiting: null, chosen: message });
});

describe('artifacts', () => {
  function file(path: string, content: string, attempt = 1): Artifact & { content: string } {
    return {
      id: newId('artifact'),
      attempt,
      path,
      size_bytes: Buffer.byteLength(content),
      sha256: createHash('sha256').update(content).digest('hex'),
      created_at: sampleTime,
      content,
    };
  }
  function results(...files: (Artifact & { content: string })[]): void {
    account(sampleEndedJob(0));
    bench.market
      .on(listArtifacts, () => ({ items: files }))
      .on(downloadArtifact, ({ params }) => {
        const found = files.find(({ id }) => id === params.artifact);
        return (response) => void response.end(found?.content);
      });
  }

  test('lists; --download brings them into a folder named as the job, checked, folders and all', async () => {
    results(file('model.json', '{"a":1}'), file('deep/er/log.txt', 'log'));
    const list = await bench.run(['artifacts', 'mnist-7k2']);
    expect(list.stdout).toMatch(/model\.json\s+7 B/);
    expect(list.stderr).toContain('cfab artifacts mnist-7k2 --download');
    const download = await bench.run(['artifacts', 'mnist-7k2', '--download']);
    expect(download.code).toBe(0);
    expect(await readFile(join(bench.home, 'mnist-7k2', 'deep/er/log.txt'), 'utf8')).toBe('log');
    expect(download.stdout.trim().split('\n')).toEqual([
      join(bench.home, 'mnist-7k2', 'model.json'),
      join(bench.home, 'mnist-7k2', 'deep/er/log.txt'),
    ]);
    const again = await bench.run(['artifacts', 'mnist-7k2', '--download', '--json']);
    expect(onlyJson(again.stdout)).toMatchObject({ items: [{ downloaded: false }, { downloaded: false }] });
  });

  test('a file that differs is not overwritten without --force', async () => {
    results(file('model.json', 'new'));
    await mkdir(join(bench.home, 'out'));
    await writeFile(join(bench.home, 'out', 'model.json'), 'mine');
    const refused = await bench.run(['artifacts', 'mnist-7k2', '--download', 'out']);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('--force');
    expect(await readFile(join(bench.home, 'out', 'model.json'), 'utf8')).toBe('mine');
    expect((await bench.run(['artifacts', 'mnist-7k2', '--download', 'out', '--force'])).code).toBe(0);
    expect(await readFile(join(bench.home, 'out', 'model.json'), 'utf8')).toBe('new');
  });

  test('the last try that has files counts unless another is named', async () => {
    results(file('a', 'first', 1), file('a', 'second', 2));
    const [last, first] = await Promise.all([
      bench.run(['artifacts', 'mnist-7k2', '--cat', 'a']),
      bench.run(['artifacts', 'mnist-7k2', '--cat', 'a', '--attempt', '1']),
    ]);
    expect([last.stdout, first.stdout]).toEqual(['second', 'first']);
  });

  test('other bytes than announced are refused and leave nothing', async () => {
    const wrong = file('model.json', 'good');
    results({ ...wrong, content: 'evil' });
    const { code, stderr } = await bench.run(['artifacts', 'mnist-7k2', '--download']);
    expect(code).toBe(1);
    expect(stderr).toContain('cli/hash-mismatch');
    await expect(readFile(join(bench.home, 'mnist-7k2', 'model.json'))).rejects.toThrow('ENOENT');
  });

  test.each(['../evil', '/etc/evil', 'a/../../evil', 'a//b', 'a\\..\\..\\evil', '.', 'a\u001b[2Jb', 'a\nb'])(
    'a job cannot choose the place %j',
    (path) => {
      expect(() => targetOf(path, '/home/me/out')).toThrow('not safe');
    },
  );

  test('a link in the folder does not lead out of it', async () => {
    results(file('deep/model.json', 'x'));
    await mkdir(join(bench.home, 'out'));
    await symlink('/tmp', join(bench.home, 'out', 'deep'));
    const { code, stderr } = await bench.run(['artifacts', 'mnist-7k2', '--download', 'out']);
    expect(code).toBe(1);
    expect(stderr).toContain('leads out of');
  });
});
