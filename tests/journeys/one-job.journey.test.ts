import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { auditBooks } from './books.ts';
import { startEmptyRegistry } from './empty-registry.ts';
import { taskContainers } from './engine.ts';
import { type Market, startMarket } from './market.ts';
import { until } from './program.ts';

let market: Market;

beforeAll(async () => {
  market = await startMarket();
  await market.startProvider('otter');
});
afterAll(async () => {
  await market.close();
});

async function run(args: string[], env: Record<string, string> = {}) {
  return await market.cfab(args, env).finished(90);
}

const submit = (...args: string[]) => ['submit', '--yes', '--image', market.image, '--gpus', '1', ...args];

describe('one job, from submit to bill', () => {
  test('output live on stdout, result file brought back with the right bytes, bill in the ledger', async () => {
    const before = await market.client.account.balance();
    const command =
      'for i in 1 2 3; do echo line $i; sleep 0.3; done; echo oops >&2; mkdir -p /outputs/deep; printf result > /outputs/deep/model.txt';
    const submitted = await run(submit('--name', 'whole-path', '--command', command));
    expect(submitted.code, submitted.stderr).toBe(0);
    expect(submitted.stdout).toBe('line 1\nline 2\nline 3\n');
    expect(submitted.stderr).toContain('oops');

    const job = await market.client.jobs.get('whole-path');
    expect(job).toMatchObject({ state: 'succeeded', exit_code: 0, end_reason: 'exited-zero', attempts: 1 });
    const [lease] = job.leases;
    expect(lease?.billed_ms).toBeGreaterThan(0);
    expect(BigInt(job.cost_micros)).toBe((BigInt(lease?.billed_ms ?? 0) * 350_000n) / 3_600_000n);

    const fetched = await run(['artifacts', 'whole-path', '--download', join(market.home, 'results')]);
    expect(fetched.code, fetched.stderr).toBe(0);
    expect(await readFile(join(market.home, 'results/deep/model.txt'), 'utf8')).toBe('result');

    const after = await until('the bill', 10, async () => {
      const settled = await market.client.jobs.get('whole-path');
      return settled.cost.payment_state === 'succeeded' && (await market.client.account.balance());
    });
    // The operator owns the machine too: what it pays it earns, and nothing stays reserved.
    expect(BigInt(before.available_micros) - BigInt(after.available_micros)).toBe(BigInt(job.cost_micros));
    expect(BigInt(after.earned_micros) - BigInt(before.earned_micros)).toBe(BigInt(job.cost_micros));
    expect(after.held_micros).toBe('0');
  });

  test('its receipt, once saved, is checked without the market; a changed digit is named and exits 1', async () => {
    // The machine's signature of the last seconds may come after the end.
    const saved = await until('the receipt with both signatures', 30, async () => {
      const { code, stdout } = await run(['receipt', 'whole-path', '--json']);
      const ran = code === 0 ? JSON.parse(stdout).receipt.tries[0].intervals.at(-1) : null;
      return ran?.final && ran.agent_signature !== null && stdout;
    });
    const { receipt } = JSON.parse(saved);
    const { cost_micros: cost } = await market.client.jobs.get('whole-path');
    expect(receipt).toMatchObject({ cost_micros: cost, tries: [{ machine: { name: 'otter' } }] });
    expect(receipt.tries[0].files).toMatchObject([{ path: 'deep/model.txt' }]);

    const [file, keys] = [join(market.home, 'receipt.json'), join(market.home, 'keys.json')];
    await writeFile(keys, await (await fetch(`${market.url}/v1/keys`)).text());
    const nowhere = { COMPUTEFABRIC_URL: 'http://127.0.0.1:9', COMPUTEFABRIC_TOKEN: '' };
    const check = async (text: string) => {
      await writeFile(file, text);
      return await run(['receipt', '--file', file, '--verify', '--keys', keys], nowhere);
    };
    const unchanged = await check(saved);
    expect(unchanged.code, unchanged.stderr).toBe(0);
    expect(unchanged.stdout).toContain('verified: signed by ed25519-');

    const [attempt] = receipt.tries;
    const other = { ...attempt, billed_ms: attempt.billed_ms + 1 };
    const changed = await check(
      JSON.stringify({ ...JSON.parse(saved), receipt: { ...receipt, tries: [other] } }),
    );
    expect(changed.code, changed.stdout).toBe(1);
    expect(changed.stdout).toBe('');
    expect(changed.stderr).toContain('tries[0].billed_ms');
    expect(changed.stderr).toContain('was changed');
    expect(changed.stderr).toContain('signature.value');
  });

  test('the container and everything of it is gone afterwards', async () => {
    await until('clean engine', 20, async () => (await taskContainers(await market.leaseIds())).length === 0);
  });

  test('the history tells each step once, in order', async () => {
    const { items } = await market.client.jobs.events('whole-path');
    const types = items
      .map(({ type }) => type)
      .filter((type) => !['pulling', 'creating', 'stopping'].includes(type));
    expect(types).toEqual(['submitted', 'matched', 'accepted', 'started', 'exited', 'ended']);
  });
});

describe('what the command line promises', () => {
  test("a failing job prints its output alone on stdout and exits 100, or with the job's own code", async () => {
    const failed = await run(submit('--command', 'echo hello; exit 3'));
    expect({ code: failed.code, stdout: failed.stdout }).toEqual({ code: 100, stdout: 'hello\n' });
    const own = await run(submit('--exit-code-from-job', '--command', 'echo hello; exit 3'));
    expect({ code: own.code, stdout: own.stdout }).toEqual({ code: 3, stdout: 'hello\n' });
  });

  test('--json --detach prints one object with the id; wait --json ends with state, exit code, cost and leases', async () => {
    const detached = await run(submit('--json', '--detach', '--command', 'sleep 1; exit 4'));
    expect(detached.code, detached.stderr).toBe(0);
    const { id } = JSON.parse(detached.stdout);
    expect(id).toMatch(/^job_/);
    const waited = await run(['wait', id, '--json']);
    expect(waited.code).toBe(100);
    const job = JSON.parse(waited.stdout.trim().split('\n').at(-1) ?? '');
    expect(job).toMatchObject({ id, state: 'failed', exit_code: 4 });
    expect(job.cost_micros).toMatch(/^[1-9]\d*$/);
    expect(job.cost.payment_state).toBe('succeeded');
    expect(job.leases).toHaveLength(1);
  });

  test('without a terminal and without --yes nothing is submitted: exit 2, naming the flag', async () => {
    const jobsBefore = (await market.client.jobs.list({ limit: 200 })).items.length;
    const refused = await run(['submit', '--image', market.image, '--command', 'true']);
    expect(refused.code).toBe(2);
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toContain('--yes');
    expect((await market.client.jobs.list({ limit: 200 })).items.length).toBe(jobsBefore);
  });

  test('Ctrl-C detaches: exit 130, the job goes on, and the commands that are printed work', async () => {
    const attached = market.cfab(submit('--name', 'left-alone', '--command', 'echo up; sleep 4; echo down'));
    await until('the first line', 60, async () => attached.output.includes('up\n'));
    attached.kill('SIGINT');
    const left = await attached.finished(10);
    expect(left.code).toBe(130);
    expect(left.stderr).toContain('cfab logs -f left-alone');
    expect(left.stderr).toContain('cfab cancel left-alone');
    const followed = await run(['logs', '-f', 'left-alone']);
    expect(followed.stdout).toBe('up\ndown\n');
  });

  test('cancel stops a running job, which pays for what it ran', async () => {
    await run(submit('--name', 'stop-me', '--detach', '--command', 'echo on; sleep 60'));
    await until('running', 60, async () => (await market.client.jobs.get('stop-me')).state === 'running');
    expect((await run(['cancel', 'stop-me'])).code).toBe(0);
    expect((await run(['wait', 'stop-me'])).code).toBe(103);
    const job = await market.client.jobs.get('stop-me');
    expect(job).toMatchObject({ state: 'cancelled', end_reason: 'cancelled' });
  });
});

describe('ends that are told apart', () => {
  test('out of memory', async () => {
    const args = submit(
      '--name',
      'greedy',
      '--memory',
      '64MiB',
      '--command',
      'awk \'BEGIN { x = "a"; while (1) x = x x }\'',
    );
    expect((await run(args)).code).toBe(100);
    expect((await market.client.jobs.get('greedy')).end_reason).toBe('out-of-memory');
  });

  test('time limit', async () => {
    await run(submit('--name', 'slow', '--time-limit', '2s', '--command', 'sleep 60'));
    const job = await market.client.jobs.get('slow');
    expect(job).toMatchObject({ state: 'expired', end_reason: 'time-limit' });
    expect(job.leases[0]?.billed_ms).toBeLessThanOrEqual(2_000);
  });

  test('an image that does not exist', async () => {
    const registry = await startEmptyRegistry();
    const image = `127.0.0.1:${registry.port}/none:1`;
    await run([
      'submit',
      '--yes',
      '--name',
      'no-image',
      '--image',
      image,
      '--command',
      'true',
      '--gpus',
      '1',
    ]);
    await registry.close();
    const job = await market.client.jobs.get('no-image');
    expect(job).toMatchObject({ state: 'failed', end_reason: 'image-unavailable', cost_micros: '0' });
    expect(job.attempts).toBe(1);
  });

  test('a command that the image does not have', async () => {
    await run([...submit('--name', 'no-command'), '--', '/no/such/program']);
    const job = await market.client.jobs.get('no-command');
    expect(job).toMatchObject({ state: 'failed', exit_code: 127 });
  });
});

describe('a job that fits nowhere', () => {
  test('waits, says why and what would change it, and the change is true', async () => {
    const asked = ['--image', market.image, '--gpus', '1', '--command', 'true'];
    await run(['submit', '--yes', '--detach', '--name', 'too-big', '--vram', '80GB', ...asked]);
    const status = await run(['status', 'too-big']);
    expect(status.code).toBe(0);
    expect(status.stdout).toContain('queued');
    expect(status.stdout).toContain('80 GB');
    const suggested = /--vram (\S+GB)/.exec(status.stdout)?.[1];
    expect(suggested).toBe('24GB');
    const changed = await run(['submit', '--yes', '--vram', suggested ?? '', ...asked]);
    expect(changed.code, changed.stderr).toBe(0);
    expect((await market.client.jobs.get('too-big')).state).toBe('queued');
    await run(['cancel', 'too-big']);
  });
});

describe('the books', () => {
  test('balance to the micro after all of this', async () => {
    await until('all settled', 20, async () => {
      const { items } = await market.client.account.payments({ limit: 200 });
      return items.every(({ state }) => state !== 'pending');
    });
    expect(await auditBooks(await market.databaseUrl())).toEqual({ difference: '0', drift: '0', held: '0' });
  });
});
