import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash } from 'node:crypto';
import {
  sampleEndedJob,
  sampleGroup,
  sampleJob,
  sampleQuote,
  sampleSchedule,
  sampleTime,
  sampleWaiting,
  summaryOf,
} from '@computefabric/api-client/testing/sample-data';
import { newId } from '@computefabric/protocol/ids';
import { downloadArtifact, listArtifacts } from '@computefabric/protocol/user-api/artifacts';
import * as groups from '@computefabric/protocol/user-api/groups';
import { getJob, listJobs } from '@computefabric/protocol/user-api/jobs';
import { createQuote } from '@computefabric/protocol/user-api/quotes';
import * as schedules from '@computefabric/protocol/user-api/schedules';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { jsonLines, onlyJson, Workbench } from '../testing/run-cfab.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

const ended = (counts: Partial<groups.GroupView['counts']>, state: groups.GroupView['state']) => {
  const base = sampleGroup();
  const none = { blocked: 0, running: 0, succeeded: 0, failed: 0 };
  return sampleGroup({
    state,
    counts: { ...base.counts, ...none, ...counts },
    cost: { ...base.cost, unsettled: 0 },
    failures: [],
  });
};

/** An account with this group and no job of that name. */
function account(...views: groups.GroupView[]): void {
  let looks = 0;
  bench.market
    .on(getJob, () => ({ refuse: 'job/not-found' }))
    .on(groups.getGroup, ({ params }) => {
      const view = views[Math.min(looks, views.length - 1)];
      if (!view || (params.group !== view.name && params.group !== views[0]?.id))
        return { refuse: 'group/not-found' };
      looks += 1;
      return { ...view, id: views[0]?.id ?? view.id };
    });
}

describe('submit of many', () => {
  const image = ['submit', '--image', 'busybox'];

  test('--array and --matrix are one group; the price of all is shown, and its end is the exit code', async () => {
    const made = sampleGroup();
    bench.market
      .on(createQuote, () => sampleQuote())
      .on(groups.createGroup, () => made)
      .on(groups.getGroup, () => ended({ succeeded: 4 }, 'succeeded'));
    const args = ['--yes', '--matrix', 'lr=0.1,0.01', '--matrix', 'seed=1,2', '--max-parallel', '2'];
    const { code, stderr } = await bench.run([...image, ...args]);
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(/4 of these, 2 at a time: at most \$/);
    expect(stderr).toContain('✓ succeeded');
    const [request] = bench.market.seen(groups.createGroup);
    expect(request?.body).toMatchObject({
      array: { matrix: { lr: ['0.1', '0.01'], seed: ['1', '2'] }, max_parallel: 2 },
      spec: { image: 'busybox' },
    });
  });

  test('--machines is a gang; with --detach only its name is on stdout', async () => {
    bench.market
      .on(createQuote, () => sampleQuote())
      .on(groups.createGroup, () => sampleGroup({ name: 'pair', kind: 'gang' }));
    const { code, stdout } = await bench.run([...image, '--yes', '--detach', '--machines', '2']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'pair\n' });
    expect(bench.market.seen(groups.createGroup)[0]?.body).toMatchObject({ machines: 2 });
  });

  test('more than the balance is refused before anything is sent', async () => {
    const quote = sampleQuote();
    const balance_micros = String(BigInt(quote.hold_micros) * 2n);
    bench.market.on(createQuote, () => ({ ...quote, balance_micros }));
    const { code } = await bench.run([...image, '--yes', '--array', '3']);
    expect(code).toBe(6);
  });

  test.each([
    [['--array', '0'], '--array'],
    [['--array', '3', '--machines', '2'], '--machines'],
    [['--matrix', 'lr'], '--matrix must be NAME=VALUE,VALUE'],
    [['--array', '3', '--matrix', 'a=1'], '--array'],
  ])('%j is a usage error that names the flag', async (args, flag) => {
    const { code, stderr } = await bench.run([...image, '--yes', ...args]);
    expect(code).toBe(2);
    expect(stderr).toContain(flag);
  });
});

describe('one name for all members', () => {
  test('status shows progress, cost and failures of a group', async () => {
    account(sampleGroup());
    const { code, stdout } = await bench.run(['status', 'sweep']);
    expect(code).toBe(0);
    expect(stdout).toContain('2 of 4 ended');
    expect(stdout).toContain('1 blocked · 1 running · 1 succeeded · 1 failed');
    expect(stdout).toMatch(/sweep\/1\s+✗ failed\s+exited-nonzero\s+3/);
    expect(stdout).toContain('$0.001888 (play money) so far, at most $1.36 for all members');
  });

  test.each([
    ['succeeded', { succeeded: 4 }, 0],
    ['failed', { succeeded: 3, failed: 1 }, 100],
    ['cancelled', { cancelled: 4 }, 103],
  ] as const)('wait ends when all have: %s', async (state, counts, exit) => {
    account(sampleGroup(), ended(counts, state));
    const { code, stdout } = await bench.run(['wait', 'sweep', '--json']);
    expect(code).toBe(exit);
    expect(onlyJson(stdout)).toMatchObject({ state, cli_exit_code: exit });
  });

  test('cancel asks all members at once', async () => {
    account(sampleGroup());
    bench.market.on(groups.cancelGroup, () => sampleGroup({ cancel_requested_at: sampleTime }));
    const { code, stderr } = await bench.run(['cancel', 'sweep']);
    expect(code).toBe(0);
    expect(stderr).toContain('All members of sweep are asked to stop.');
  });

  test('artifacts --download brings the files of each member into a folder of its index', async () => {
    account(sampleGroup());
    const place = { id: newId('group'), name: 'sweep', kind: 'array' as const, size: 2, variables: {} };
    const members = [1, 0].map((index) => sampleEndedJob(0, { group: { ...place, index } }));
    const bytes = (index: number) => Buffer.from(`result ${index}`);
    const indexOf = (id: string) => members.find((job) => job.id === id)?.group?.index ?? 0;
    bench.market
      .on(listJobs, () => ({ items: members.map(summaryOf), next_cursor: null }))
      .on(listArtifacts, ({ params }) => {
        const content = bytes(indexOf(params.job));
        const sha256 = createHash('sha256').update(content).digest('hex');
        const file = { path: 'a/b.txt', size_bytes: content.length, sha256 };
        return { items: [{ id: newId('artifact'), attempt: 1, created_at: sampleTime, ...file }] };
      })
      .on(downloadArtifact, ({ params }) => (response) => {
        const content = bytes(indexOf(params.job));
        response.writeHead(200, { 'content-length': content.length }).end(content);
      });
    const { code, stderr } = await bench.run(['artifacts', 'sweep', '--download']);
    expect(code, stderr).toBe(0);
    for (const index of [0, 1])
      expect(await readFile(join(bench.home, 'sweep', String(index), 'a/b.txt'), 'utf8')).toBe(
        `result ${index}`,
      );
  });

  test('a member has a name of its own: status sweep/3', async () => {
    bench.market.on(listJobs, () => ({ items: [], next_cursor: null }));
    bench.market.on(getJob, ({ params }) =>
      params.job === 'sweep/3' ? sampleJob({ name: 'sweep-3' }) : { refuse: 'job/not-found' },
    );
    const { code, stdout } = await bench.run(['status', 'sweep/3']);
    expect(code).toBe(0);
    expect(stdout).toContain('sweep-3');
    expect((await bench.run(['status', 'sweep/4'])).code).toBe(102);
  });

  test('a list shows groups that have not ended, and asks for jobs outside of groups only', async () => {
    bench.market
      .on(groups.listGroups, () => ({ items: [sampleGroup(), ended({}, 'succeeded')], next_cursor: null }))
      .on(listJobs, () => ({ items: [], next_cursor: null }));
    const { stdout } = await bench.run(['status']);
    expect(stdout).toMatch(/sweep\s+● active/);
    expect(stdout).not.toContain('succeeded');
    expect(
      bench.market.seen(listJobs).every(({ query }) => (query as { ungrouped?: string }).ungrouped),
    ).toBe(true);
  });
});

test('explain says for whom a blocked job waits', async () => {
  const waits_for = ['prepare must succeed; it has not ended yet.'];
  bench.market.on(getJob, () => sampleJob({ state: 'blocked', waits_for }));
  const { stdout } = await bench.run(['explain', 'train']);
  expect(stdout).toContain('prepare must succeed; it has not ended yet.');
});

describe('schedule', () => {
  test('create sends line, zone and job; what is wrong is said before', async () => {
    bench.market.on(schedules.createSchedule, () => sampleSchedule());
    const args = ['schedule', 'create', 'nightly', '--image', 'busybox', '--command', 'date'];
    const { code, stdout } = await bench.run([
      ...args,
      '--cron',
      '30 3 * * *',
      '--timezone',
      'Europe/Berlin',
    ]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'nightly\n' });
    expect(bench.market.seen(schedules.createSchedule)[0]?.body).toMatchObject({
      name: 'nightly',
      cron: '30 3 * * *',
      timezone: 'Europe/Berlin',
      overlap: 'skip',
      spec: { image: 'busybox', command: 'date' },
    });
    const without = await bench.run(args);
    expect(without.code).toBe(2);
    expect(without.stderr).toContain('--cron');
  });

  test('list, runs, pause, resume and delete', async () => {
    const failed = { due_at: sampleTime, fired_at: sampleTime, state: 'failed' as const, job_id: null };
    const firing = { ...failed, detail: 'The balance does not cover it.', job_name: null };
    bench.market
      .on(schedules.listSchedules, () => ({ items: [sampleSchedule({ last: firing })], next_cursor: null }))
      .on(schedules.listFirings, () => ({ items: [firing], next_cursor: null }))
      .on(schedules.changeSchedule, ({ body }) =>
        sampleSchedule({ state: body.state, next_at: body.state === 'paused' ? null : sampleTime }),
      )
      .on(schedules.deleteSchedule, () => undefined);
    expect((await bench.run(['schedule', 'list'])).stdout).toMatch(/nightly\s+active\s+30 3 \* \* \*/);
    expect((await bench.run(['schedule', 'runs', 'nightly'])).stdout).toContain(
      'The balance does not cover it.',
    );
    expect((await bench.run(['schedule', 'pause', 'nightly'])).stderr).toContain('is paused');
    const resumed = await bench.run(['schedule', 'resume', 'nightly', '--json']);
    expect(jsonLines(resumed.stdout)[0]).toMatchObject({ state: 'active' });
    expect((await bench.run(['schedule', 'delete', 'nightly'])).code).toBe(0);
  });
});

describe('explain of a group', () => {
  test('tells how it stands, and why the first of its members that waits has no machine', async () => {
    account(sampleGroup({ max_parallel: 2 }));
    const waits = sampleJob({ name: 'sweep-2', waiting: sampleWaiting() });
    bench.market
      .on(listJobs, ({ query }) => ({
        items: query?.state?.includes('queued') ? [summaryOf(waits)] : [],
        next_cursor: null,
      }))
      .on(getJob, ({ params }) => (params.job === waits.id ? waits : { refuse: 'job/not-found' }));
    const { code, stdout } = await bench.run(['explain', 'sweep']);
    expect(code).toBe(0);
    expect(stdout).toContain('sweep: 2 of 4 ended · 1 running · 1 blocked');
    expect(stdout).toContain('At most 2 of its members wait or run at the same time.');
    expect(stdout).toMatch(/sweep-2 asks for .*\n +place/);
  });

  test('of which none waits for a machine says that', async () => {
    account(sampleGroup());
    bench.market.on(listJobs, () => ({ items: [], next_cursor: null }));
    expect((await bench.run(['explain', 'sweep'])).stdout).toContain(
      'None of its members waits for a machine.',
    );
  });
});
