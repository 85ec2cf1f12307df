import { providers } from '@computefabric/db/schema/providers';
import type { JobWords } from '@computefabric/protocol/job-file/job-file';
import { readJob } from '@computefabric/protocol/job-file/read-job';
import type { Inventory } from '@computefabric/protocol/provider-api/v1/inventory';
import { cancelJob, createJob, getJob, type JobView } from '@computefabric/protocol/user-api/jobs';
import { createQuote } from '@computefabric/protocol/user-api/quotes';
import { eq } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testCards } from '../testing/market-fixture.ts';
import { parsed } from '../testing/replies.ts';
import { TestAgent } from '../testing/test-agent.ts';
import { startTestMarket, type TestMarket, type TestUser } from '../testing/test-market.ts';
import { waitUntil } from '../testing/wait-until.ts';
import type { FilterName } from './filters.ts';

let market: TestMarket;
let renter: TestUser;
let owner: TestUser;
beforeAll(async () => {
  market = await startTestMarket();
  renter = await market.addUser({ micros: 10_000_000_000n });
  owner = await market.addUser();
});
afterAll(() => market.close());

function specOf(words: Partial<JobWords>) {
  const read = readJob({ image: 'busybox', max_price: '1', ...words });
  if (read.kind === 'wrong') throw new Error(JSON.stringify(read.problems));
  return read.job.spec;
}

async function submit(words: Partial<JobWords>): Promise<JobView> {
  const options = { method: 'POST', token: renter.token, json: specOf(words) } as const;
  return parsed(createJob.reply, await market.call('/v1/jobs', options));
}

async function view(id: string): Promise<JobView> {
  return parsed(getJob.reply, await market.call(`/v1/jobs/${id}`, { token: renter.token }));
}

interface Row {
  rule: FilterName;
  asked: Partial<JobWords>;
  field: string;
  inventory?: Partial<Inventory>;
  machine?: Partial<typeof providers.$inferInsert>;
}

const [card] = testCards(1);
if (!card) throw new Error('there is a card');

/** What the machine of each row has, unless the row says otherwise. */
const usual: Partial<Inventory> = {
  gpus: [{ ...card, driver_version: '535.104.05', compute_capability: '8.9' }],
  region: 'eu-west',
  cuda_version: '12.2',
};

const rows: Row[] = [
  { rule: 'region', asked: { region: 'us-east' }, field: 'region' },
  { rule: 'tier', asked: { tier: 'trusted' }, field: 'tier', machine: { tier: 'verified' } },
  {
    rule: 'reliability',
    asked: { reliability: '99%' },
    field: 'reliability',
    machine: { reliabilityMilli: 937 },
  },
  { rule: 'price', asked: { max_price: '0.10' }, field: 'max_price' },
  { rule: 'price', asked: { max_price: '0.20' }, field: 'class', inventory: { spot_percent: 50 } },
  { rule: 'gpus', asked: { gpus: 4 }, field: 'gpus' },
  { rule: 'gpu-model', asked: { gpu: 'H100|A100' }, field: 'gpu' },
  { rule: 'vram', asked: { vram: '80GB' }, field: 'vram' },
  { rule: 'vram', asked: { vram: '4GB..16GB' }, field: 'vram' },
  { rule: 'compute-capability', asked: { compute_capability: '12.0' }, field: 'compute_capability' },
  { rule: 'driver', asked: { driver: '550.54' }, field: 'driver' },
  { rule: 'cuda', asked: { cuda: '12.10' }, field: 'cuda' },
  { rule: 'cuda', asked: { cuda: '11.0' }, field: 'cuda', inventory: { cuda_version: null } },
  { rule: 'sharing', asked: { gpu_share: '0.25' }, field: 'gpu_share' },
  { rule: 'cpus', asked: { cpus: 64 }, field: 'cpus' },
  { rule: 'memory', asked: { memory: '64GiB' }, field: 'memory' },
  { rule: 'disk', asked: { disk: '500GB' }, field: 'disk' },
  {
    rule: 'away',
    asked: { time_limit: '5h' },
    field: 'time_limit',
    machine: {
      awayFrom: new Date(Date.now() + 2 * 3_600_000),
      awayUntil: new Date(Date.now() + 9 * 3_600_000),
    },
  },
];

describe('what is said to be in the way is, and the one change that is suggested starts the job', () => {
  test.each(rows)('$rule, and then $field: $asked', async ({ rule, asked, field, inventory, machine }) => {
    const agent = await TestAgent.join(market, owner, { gpus: [], memory_mib: 16, ...inventory });
    if (machine) await market.db.update(providers).set(machine).where(eq(providers.id, agent.providerId));
    await agent.hello({ ...usual, ...inventory });
    const words = { gpus: 1, ...asked };
    const waits = await submit(words);
    expect(waits.state).toBe('queued');
    const { waiting } = await view(waits.id);
    // Machines of rows before are offline and may otherwise fit.
    const obstacles = waiting?.filters.filter(({ sole, filter }) => sole > 0 && filter !== 'online');
    expect(obstacles?.map(({ filter }) => filter)).toEqual([rule]);
    expect(waiting?.change?.field, waiting?.suggestion ?? '').toBe(field);
    const value = waiting?.change?.value ?? undefined;

    // The same is told before anything is submitted.
    const quote = { method: 'POST', token: renter.token, json: specOf(words) } as const;
    const planned = parsed(createQuote.reply, await market.call('/v1/quotes', quote));
    expect(planned.waiting?.change).toEqual(waiting?.change);

    const starts = await submit({ ...words, [field]: value });
    await waitUntil('the changed job has a machine', async () => {
      const job = await view(starts.id);
      return job.state === 'preparing' && job.leases[0]?.provider.id === agent.providerId;
    });
    expect((await view(waits.id)).state, 'the unchanged one still waits').toBe('queued');

    for (const { id } of [waits, starts])
      parsed(
        cancelJob.reply,
        await market.call(`/v1/jobs/${id}/cancel`, { method: 'POST', token: renter.token }),
      );
    await agent.call('/goodbye', { leaving: true });
    await waitUntil('both jobs are over', async () => {
      const states = [(await view(waits.id)).state, (await view(starts.id)).state];
      return states.every((state) => state === 'cancelled');
    });
  });
});

test('a job that only waits for a busy machine is told when it starts at the latest, and it starts when that ends', async () => {
  const agent = await TestAgent.join(market, owner, usual);
  const first = await submit({ gpus: 1, time_limit: '30m' });
  const task = await agent.acceptNext();
  await task.start();
  const second = await submit({ gpus: 1, time_limit: '1h' });
  const third = await submit({ gpus: 1, priority: 40 });
  const fourth = await submit({ gpus: 1 });
  const { started_at } = await view(first.id);
  const startedMs = Date.parse(started_at ?? '');
  const { waiting } = await view(second.id);
  expect(waiting).toMatchObject({ position: 1, suggestion: null, change: null });
  expect(Date.parse(waiting?.expected_start ?? '') - startedMs).toBeGreaterThan(29 * 60_000);
  expect(Date.parse(waiting?.expected_start ?? '') - startedMs).toBeLessThan(31 * 60_000);
  const behind = (await view(third.id)).waiting;
  expect(behind?.position, 'one that came later and has a higher priority goes first').toBe(3);
  expect((await view(fourth.id)).waiting?.position).toBe(2);
  expect(Date.parse(behind?.expected_start ?? '') - startedMs).toBeGreaterThan(149 * 60_000);

  await task.finish();
  await waitUntil('the second has the machine', async () => (await view(second.id)).state === 'preparing');
  expect((await view(third.id)).state).toBe('queued');
});
