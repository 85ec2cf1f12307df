import { chmod, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FakeMarket } from '@computefabric/api-client/testing/fake-market';
import {
  sampleBalance,
  sampleJob,
  sampleMachine,
  sampleOffer,
  sampleTime,
  summaryOf,
} from '@computefabric/api-client/testing/sample-data';
import { newBearer } from '@computefabric/protocol/api-key';
import { newId } from '@computefabric/protocol/ids';
import { getBalance, whoAmI } from '@computefabric/protocol/user-api/account';
import { listGroups } from '@computefabric/protocol/user-api/groups';
import { getJob, listJobs } from '@computefabric/protocol/user-api/jobs';
import {
  createJoinToken,
  drainMachine,
  listMachines,
  listMachineTries,
  type MachineTry,
  pauseMachine,
  planMaintenance,
} from '@computefabric/protocol/user-api/machines';
import { listOffers } from '@computefabric/protocol/user-api/quotes';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { onlyJson, runHere, Workbench } from '../testing/run-cfab.ts';

vi.setConfig({ testTimeout: 40_000, hookTimeout: 40_000 });

let bench: Workbench;
beforeEach(async () => {
  bench = await Workbench.open();
});
afterEach(() => bench.close());

const me = {
  user: { id: newId('user'), name: 'Ana', email: 'ana@example.org', role: 'operator' as const },
  key: { id: newId('apiKey'), name: 'laptop', created_at: sampleTime, expires_at: null },
  balance: sampleBalance(),
};

function wholeMarket(): void {
  bench.market
    .on(whoAmI, () => me)
    .on(getBalance, () => sampleBalance())
    .on(listOffers, () => ({
      items: [sampleOffer(), sampleOffer({ gpu: null, vram_mib: null, simulated: false })],
    }))
    .on(listMachines, () => ({ items: [sampleMachine()] }))
    .on(createJoinToken, () => ({ token: newBearer('join').token, expires_at: sampleTime }))
    .on(getJob, () => sampleJob())
    .on(listGroups, () => ({ items: [], next_cursor: null }))
    .on(listJobs, () => ({ items: [summaryOf(sampleJob())], next_cursor: null }));
}

/** Commands that only look, and so can be tried everywhere. */
const looks = [
  ['whoami'],
  ['balance'],
  ['offers'],
  ['machine', 'list'],
  ['machine', 'token'],
  ['machine', 'show', 'cobalt-otter'],
  ['status'],
  ['status', 'mnist-7k2'],
  ['explain', 'mnist-7k2'],
];

describe('every command', () => {
  test('with --json gives one object with its schema version, and stderr stays empty', async () => {
    wholeMarket();
    for (const words of [...looks, ['config', 'list'], ['help', 'states'], ['help', 'submit']]) {
      const { code, stdout, stderr } = await bench.run([...words, '--json']);
      expect({ words, code, stderr }).toEqual({ words, code: 0, stderr: '' });
      expect(onlyJson(stdout)).toMatchObject({ schema_version: 1 });
    }
  });

  test('that fails with --json gives one object on stderr and nothing on stdout', async () => {
    await bench.market.stop();
    const results = await Promise.all(looks.map((words) => bench.run(['--json', ...words])));
    for (const { code, stdout, stderr } of results) {
      expect({ code, stdout }).toEqual({ code: 7, stdout: '' });
      expect(onlyJson(stderr)).toMatchObject({
        error: { code: 'cli/unreachable', cli_exit_code: 7, message: expect.stringContaining('refused') },
      });
    }
  });

  test('without a key exits 4 and says how to log in; with a wrong one too, and never shows it', async () => {
    bench.market.on(whoAmI, () => ({ refuse: 'auth/invalid' }));
    const missing = await bench.run(['whoami'], { env: { COMPUTEFABRIC_TOKEN: undefined } });
    expect(missing.code).toBe(4);
    expect(missing.stderr).toContain('cfab login --with-token');
    const wrong = await bench.run(['whoami', '--debug']);
    expect(wrong.code).toBe(4);
    expect(wrong.stderr).toContain('auth/invalid');
    const broken = await bench.run(['whoami', '--debug'], { env: { COMPUTEFABRIC_TOKEN: 'hunter2\nx' } });
    expect(broken.code).toBe(4);
    for (const { stdout, stderr } of [missing, wrong, broken]) {
      expect(stdout + stderr).not.toContain(bench.token);
      expect(stdout + stderr).not.toContain('hunter2');
    }
  });

  test('has no escape bytes in a pipe, also when colours are forced off in other ways', async () => {
    wholeMarket();
    const wishes: Record<string, string>[] = [{}, { NO_COLOR: '1' }, { TERM: 'dumb' }];
    for (const env of wishes) {
      const { stdout, stderr } = await bench.run(['status'], { env });
      expect(stdout + stderr).not.toContain('\u001b');
    }
    const forced = await bench.run(['status'], { env: { FORCE_COLOR: '1' } });
    expect(forced.stdout).toContain('\u001b[33m◌ queued');
    const both = await bench.run(['status', '--no-color'], { env: { FORCE_COLOR: '1' } });
    expect(both.stdout).not.toContain('\u001b');
  });
});

describe('mistakes in the command line', () => {
  test.each<[string[], string]>([
    [['staus'], 'a similar command exists: status'],
    [['submit', '--imge', 'x'], 'a similar flag exists: --image'],
    [['logs', '--folow', 'x'], 'a similar flag exists: --follow'],
    [['machine', 'tokn'], 'a similar command exists: token'],
    [['help', 'exitcodes'], 'a similar topic exists: exit-codes'],
    [['machine'], 'needs a command'],
    [['logs'], "missing required argument 'job'"],
    [['whoami', 'me'], 'too many arguments'],
    [['submit', '--image'], 'argument missing'],
    [['artifacts', '--download', 'x'], 'put JOB before --download'],
    [['config', 'list', '--url', 'nonsense'], '--url must be an http or https address'],
  ])('%j exits 2 and says what is near, as a statement', async (words, expected) => {
    const { code, stdout, stderr } = await runHere(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(expected);
    expect(stderr).not.toContain('?');
    const json = await runHere([...words, '--json']);
    expect({ code: json.code, stdout: json.stdout }).toEqual({ code: 2, stdout: '' });
    expect(onlyJson(json.stderr)).toMatchObject({ error: { code: 'cli/usage' } });
  });
});

test('a mistake is told by the real program too, and nothing is run', async () => {
  const { code, stdout, stderr } = await bench.run(['status', '--state', 'faild']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain('a similar one exists: failed');
  expect(bench.market.requests).toEqual([]);
});

test('whoami, balance, offers and machines say it in words and money', async () => {
  wholeMarket();
  const [who, balance, offers, machines] = await Promise.all([
    bench.run(['whoami']),
    bench.run(['balance']),
    bench.run(['offers', '--gpus', '1', '--vram', '24GB', '--gpu', 'RTX 4090']),
    bench.run(['machine', 'list']),
  ]);
  expect(who.stdout).toContain(bench.market.url);
  expect(who.stdout).toContain('Ana <ana@example.org>, operator');
  expect(balance.stdout).toMatch(/available\s+\$9\.50\nheld\s+\$0\.50/);
  expect(balance.stderr).toContain('play money');
  expect(offers.stdout).toMatch(/cobalt-otter\s+RTX 4090 \(simulated\)\s+24 GB\s+2 of 2/);
  expect(bench.market.seen(listOffers)[0]?.query).toEqual({
    gpus: 1,
    gpu_model: 'RTX 4090',
    min_vram_mib: 22_889,
  });
  expect(machines.stdout).toMatch(/cobalt-otter\s+online\s+1 × RTX 4090 \(simulated\)/);
});

test('a join token alone is on stdout', async () => {
  wholeMarket();
  const text = await bench.run(['machine', 'token', '--expires', '10m']);
  expect(text.stdout).toMatch(/^cfj_\S+\n$/);
  expect(text.stderr).toContain('PROVIDER_JOIN_TOKEN');
  expect(bench.market.seen(createJoinToken)[0]?.body).toEqual({ expires_in_seconds: 600 });
  const json = await bench.run(['machine', 'token', '--json']);
  expect(Object.keys(onlyJson(json.stdout))).toEqual(['schema_version', 'token', 'expires_at']);
  expect((await bench.run(['machine', 'token', '--expires', '5s'])).code).toBe(2);
});

describe('login', () => {
  const noToken = { COMPUTEFABRIC_TOKEN: undefined };

  test('tries the key, stores it for its owner alone, and it is used from then on', async () => {
    wholeMarket();
    const { code, stdout, stderr } = await bench.run(['login', '--with-token'], {
      input: `${bench.token}\n`,
      env: noToken,
    });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('Logged in');
    expect(stderr).not.toContain(bench.token);
    const file = join(bench.home, 'config', 'computefabric', 'config.toml');
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    const alone = { COMPUTEFABRIC_TOKEN: undefined, COMPUTEFABRIC_URL: undefined };
    expect((await bench.run(['whoami'], { env: alone })).code).toBe(0);
    expect(bench.market.seen(whoAmI).at(-1)?.headers.authorization).toBe(`Bearer ${bench.token}`);
    const config = await bench.run(['config', 'list'], { env: alone });
    expect(config.stdout).toMatch(/token\s+\(set, not shown\)\s+file/);
    expect(config.stdout).not.toContain(bench.token);
    await chmod(file, 0o644);
    expect((await bench.run(['whoami'], { env: alone })).stderr).toContain(`chmod 600 ${file}`);
  });

  test('a stored key is not shown to another server', async () => {
    wholeMarket();
    await bench.run(['login', '--with-token'], { input: bench.token, env: noToken });
    const other = await FakeMarket.start();
    const { code, stderr } = await bench.run(['whoami', '--url', other.url], { env: noToken });
    await other.stop();
    expect(code).toBe(4);
    expect(stderr).toContain(`is for ${bench.market.url}`);
    expect(other.requests).toEqual([]);
  });

  test('a key that the server refuses is not stored', async () => {
    bench.market.on(whoAmI, () => ({ refuse: 'auth/invalid' }));
    const { code } = await bench.run(['login', '--with-token'], { input: bench.token, env: noToken });
    expect(code).toBe(4);
    await expect(readFile(join(bench.home, 'config', 'computefabric', 'config.toml'))).rejects.toThrow(
      'ENOENT',
    );
    expect((await bench.run(['login'], { env: noToken })).code).toBe(2);
  });
});

test('config list names the value in force and where each one comes from', async () => {
  const folder = join(bench.home, 'config', 'computefabric');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'config.toml'), 'url = "http://file.test"\n');
  const flag = await bench.run(['config', 'list', '--url', 'http://flag.test']);
  expect(flag.stdout).toMatch(/url\s+http:\/\/flag\.test\s+flag --url/);
  expect((await bench.run(['config', 'list'])).stdout).toMatch(/url.*environment, COMPUTEFABRIC_URL/);
  const file = await bench.run(['config', 'list', '--json'], { env: { COMPUTEFABRIC_URL: undefined } });
  expect(onlyJson(file.stdout)).toMatchObject({
    items: [{ name: 'url', value: 'http://file.test' }, {}, {}],
  });
});

describe('what an owner wants of a machine', () => {
  const when = '2026-03-01T14:00:00.000Z';

  test('is said with a name and a duration, and the answer says what happens now', async () => {
    const machine = sampleMachine({ running: [] });
    bench.market
      .on(listMachines, () => ({ items: [machine] }))
      .on(pauseMachine, ({ body }) => {
        expect(body).toMatchObject({ for_seconds: 7_200, reason: 'gaming' });
        return { ...machine, availability: 'paused' as const, available_at: when };
      })
      .on(drainMachine, ({ body }) => {
        expect(body).toMatchObject({ within_seconds: 1_800 });
        return { ...machine, availability: 'draining' as const, vacate_by: when };
      });
    const paused = await bench.run(['machine', 'pause', 'cobalt', '--for', '2h', '--reason', 'gaming']);
    expect(paused).toMatchObject({ code: 0, stdout: '' });
    expect(paused.stderr).toContain(`takes no new work until ${when}`);
    const drained = await bench.run(['machine', 'drain', machine.id, '--within', '30m']);
    expect(drained.stderr).toContain(`What still runs at ${when} moves`);
  });

  test('a machine that its owner keeps back says why, and until when where that is known', async () => {
    const machine = sampleMachine({
      owner_notice: { state: 'owner', reason: 'person', accepts_work: false, until: when },
    });
    bench.market.on(listMachines, () => ({ items: [machine] }));
    const shown = await bench.run(['machine', 'show', 'cobalt']);
    expect(shown.stdout).toContain(
      `not now: Keyboard or mouse is in use. Until ${when}, as far as is known.`,
    );
    expect((await bench.run(['machine', 'list'])).stdout).toContain('online, not lent now (person)');
  });

  test('an absence takes moments from now; half of one, or none, is a mistake', async () => {
    const machine = sampleMachine();
    bench.market
      .on(listMachines, () => ({ items: [machine] }))
      .on(planMaintenance, ({ body }) => ({ ...machine, away_from: body.from, away_until: body.until }));
    const planned = await bench.run([
      'machine',
      'maintenance',
      'cobalt',
      '--from',
      '2h',
      '--until',
      '5h',
      '--json',
    ]);
    const { away_from, away_until } = onlyJson(planned.stdout) as { away_from: string; away_until: string };
    expect(Date.parse(away_until) - Date.parse(away_from)).toBe(3 * 3_600_000);
    const half = await bench.run(['machine', 'maintenance', 'cobalt', '--from', '2h']);
    expect(half.code).toBe(2);
    expect(half.stderr).toContain('needs --from and --until');
    const nonsense = await bench.run(['machine', 'maintenance', 'cobalt', '--from', 'soon', '--until', '2h']);
    expect(nonsense.stderr).toContain('is not a moment');
  });

  test('a machine that you do not have is named with one that is near', async () => {
    bench.market.on(listMachines, () => ({ items: [sampleMachine()] }));
    const { code, stderr } = await bench.run(['machine', 'pause', 'cobalt-oter']);
    expect(code).toBe(2);
    expect(stderr).toContain('a similar machine exists: cobalt-otter');
  });
});

test('machine tries tells how each try ended, what it earned and what it says in the record', async () => {
  const machine = sampleMachine();
  bench.market
    .on(listMachines, () => ({ items: [machine] }))
    .on(listMachineTries, ({ query }) => ({
      items: [sampleTry({ end_reason: 'provider-lost', record: 'against' }), sampleTry()].slice(
        0,
        query?.limit,
      ),
      next_cursor: null,
    }));
  const { code, stdout } = await bench.run(['machine', 'tries', 'cobalt']);
  expect(code).toBe(0);
  const [title, lost, good] = stdout.split('\n');
  expect(title).toMatch(/END +RECORD +PRICE\/H +PAID +EARNED/);
  expect(lost).toMatch(/2 GPUs, spot +released +provider-lost, exit 0 +against/);
  expect(good).toMatch(/exited-zero, exit 0 +for +\$0\.70 +60\.0 s +\$0\.011666/);
  expect((await bench.run(['machine', 'tries', 'cobalt', '-n', '1'])).stdout.split('\n')).toHaveLength(3);
});

function sampleTry(overrides: Partial<MachineTry> = {}): MachineTry {
  return {
    lease_id: newId('lease'),
    job_id: newId('job'),
    state: 'released',
    gpus: 2,
    gpu_milli: 1_000,
    cpus: 4,
    memory_mib: 8_192,
    spot: true,
    price_per_hour_micros: '700000',
    offered_at: sampleTime,
    started_at: sampleTime,
    ended_at: sampleTime,
    end_reason: 'exited-zero',
    end_detail: null,
    exit_code: 0,
    billed_ms: 60_000,
    earned_micros: '11666',
    record: 'for',
    ...overrides,
  };
}
