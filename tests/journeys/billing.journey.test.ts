import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { leases } from '@computefabric/db/schema/leases';
import type { EarningsStatement } from '@computefabric/protocol/user-api/earnings';
import { eq, sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { auditLedger } from '../../orchestrator/src/ledger/audit.store.ts';
import { TestAgent } from '../../orchestrator/src/testing/test-agent.ts';
import { startStripeMarket, type StripeMarket } from '../../orchestrator/src/testing/stripe-market.ts';
import type { TestUser } from '../../orchestrator/src/testing/test-market.ts';
import { ensureBundles } from '../../scripts/bundle.mjs';
import { Program, root, until } from './program.ts';

// Paying and being paid by the command line as a person does, with the pages of the stand-in in the place of Stripe's.

let market: StripeMarket;
let renter: TestUser;
let home: string;
beforeAll(async () => {
  await ensureBundles(['cli']);
  home = await mkdtemp(join(tmpdir(), 'computefabric-billing-'));
  market = await startStripeMarket({
    EARNINGS_HOLD_DAYS: '0.00001', // about a second
    EARNINGS_HOLD_JOBS: '1',
    PAYOUT_MINIMUM_USD: '0.50',
    PLATFORM_FEE_BPS: '1000',
  });
  renter = await market.addUser({ micros: 0n });
});
afterAll(async () => {
  await market.closeAll();
  await rm(home, { recursive: true, force: true });
});

const cfab = (...args: string[]) => cfabAs(renter, ...args);

async function cfabAs(user: TestUser, ...args: string[]) {
  const settings = {
    COMPUTEFABRIC_URL: market.url,
    COMPUTEFABRIC_TOKEN: user.token,
    XDG_CONFIG_HOME: home,
  };
  const program = new Program(
    `cfab ${args.join(' ')}`,
    join(root, 'client/cli/bin/cfab.mjs'),
    args,
    settings,
    home,
  );
  const { code } = await program.finished(60);
  return { code, output: program.output };
}

/** What the person does on a page: fills in the form with this card. */
async function onPage(output: string, card: string): Promise<string | null> {
  const url = /http:\/\/\S+\/pay\/\w+/.exec(output)?.[0] ?? '';
  const answer = await fetch(url, {
    method: 'POST',
    body: new URLSearchParams({ card }),
    redirect: 'manual',
  });
  return answer.headers.get('location');
}

test('a person pays in, saves a card, tops up by itself and gets the rest back', async () => {
  expect((await cfab('billing')).output).toMatch(/available\s+\$0\.00/);

  const begun = await cfab('billing', 'top-up', '20');
  expect(begun.code).toBe(0);
  expect(await onPage(begun.output, '4242 4242 4242 4242')).toBe('http://127.0.0.1:3000/billing');
  await until('the money is there', 30, async () =>
    /available\s+\$20\.00/.test((await cfab('billing')).output),
  );

  await onPage((await cfab('billing', 'cards', 'add')).output, '5555555555554444');
  await until('the card is there', 30, async () =>
    (await cfab('billing', 'cards')).output.includes('mastercard … 4444'),
  );

  const auto = await cfab('billing', 'auto-top-up', '--below', '25', '--amount', '10', '--monthly', '10');
  expect(auto.output).toContain('$10.00 below $25.00, at most $10.00 a month');
  await until('it topped up', 30, async () => /available\s+\$30\.00/.test((await cfab('billing')).output));

  expect((await cfab('billing', 'refund', '5')).output).toContain('$5.00 is on its way');
  const rest = await cfab('billing', 'refund');
  expect(rest.output).toContain('$25.00 is on its way to the cards');
  const nothing = await cfab('billing', 'refund');
  expect(nothing.code).toBe(6);
  expect(nothing.output).toContain('billing/nothing-to-refund');
});

test('an amount that no card can be charged is refused before anybody is asked', async () => {
  for (const amount of ['1.005', 'twenty', '-5']) {
    expect((await cfab('billing', 'top-up', '--', amount)).code).toBe(2);
  }
});

/** A job of the renter's on the owner's machine, which ran for so many seconds at 3.60 USD an hour, settled. */
async function ranJob(machine: TestAgent, seconds: number): Promise<void> {
  const json = { image: 'x', max_price_per_hour_micros: '10000000' };
  const made = await market.call('/v1/jobs', { method: 'POST', token: renter.token, json });
  expect(made.status).toBe(201);
  const task = await machine.acceptNext();
  await task.start();
  await market.db
    .update(leases)
    .set({ startedAt: sql`${leases.startedAt} - make_interval(secs => ${seconds})` })
    .where(eq(leases.id, task.leaseId));
  await task.finish(0);
}

test('an owner says where the money goes, earns, is paid after the hold window, sees a refused transfer come back, and reads a statement that adds up', {
  timeout: 180_000,
}, async () => {
  const owner = await market.addUser({ micros: 0n });
  const machine = await TestAgent.join(market, owner, { cpus: 8, price_per_cpu_hour_micros: '3600000' });
  const begun = await cfab('billing', 'top-up', '50');
  await onPage(begun.output, '4000 0000 0000 0077'); // usable at Stripe at once

  expect((await cfabAs(owner, 'earnings')).output).toContain('cfab payouts setup');
  const early = await cfabAs(owner, 'payouts', 'request');
  expect(early.output).toContain('payout/account-incomplete');
  const setup = await cfabAs(owner, 'payouts', 'setup');
  const page = /http:\/\/\S+\/pages\/\w+/.exec(setup.output)?.[0] ?? '';
  const back = await fetch(page, {
    method: 'POST',
    body: new URLSearchParams({ do: 'pass' }),
    redirect: 'manual',
  });
  expect(back.headers.get('location')).toBe('http://127.0.0.1:3000/earnings?onboarding=done');
  await until('the event has told that transfers are taken', 30, async () =>
    /account\s+ready/.test((await cfabAs(owner, 'payouts', 'schedule')).output),
  );

  await until('the renter has money', 30, async () =>
    /available\s+\$[1-9]/.test((await cfab('billing')).output),
  );
  await ranJob(machine, 1_000);
  await until('the hold window is over and it may be paid out', 60, async () =>
    /payable\s+\$0\.9/.test((await cfabAs(owner, 'earnings')).output),
  );
  expect((await cfabAs(owner, 'payouts', 'request')).output).toMatch(/\$0\.90 is on its way/);
  await until('it was sent', 30, async () => /sent/.test((await cfabAs(owner, 'payouts', 'list')).output));

  // Stripe wants to know more, tells nobody, and refuses the next transfer.
  await ranJob(machine, 1_000);
  await until('more may be paid out', 60, async () =>
    /payable\s+\$0\.9/.test((await cfabAs(owner, 'earnings')).output),
  );
  const account = market.stripe.world.all('account').at(-1)?.id ?? '';
  await market.stripe.control('webhooks', { copies: 0 });
  await market.stripe.control('restrict-account', { id: account });
  await cfabAs(owner, 'payouts', 'request');
  await until('it was refused and came back', 30, async () =>
    /failed: Your destination account/.test((await cfabAs(owner, 'payouts', 'list')).output),
  );
  expect((await cfabAs(owner, 'earnings')).output).toMatch(/payable\s+\$0\.9/);

  const month = new Date().toISOString().slice(0, 7);
  const csv = (await cfabAs(owner, 'earnings', 'statement', '--month', month, '--csv')).output;
  expect(csv.match(/Z,job,/g)).toHaveLength(2);
  expect(csv).toMatch(/,payout,.*,-0\.900000,/);
  const json = JSON.parse(
    (await cfabAs(owner, 'earnings', 'statement', '--json')).output,
  ) as EarningsStatement;
  expect(json.totals.paid_micros).toBe('900000');
  expect(BigInt(json.closing_micros)).toBe(BigInt(json.totals.net_micros) - 900_000n);

  // The operator pays the rest by hand, takes a mistake back, and closes the books.
  const operator = await market.addUser({ role: 'operator' });
  expect((await cfabAs(owner, 'payouts', 'owed')).output).toContain('auth/forbidden');
  await until('Stripe was asked what is wrong with the account', 60, async () =>
    (await cfabAs(operator, 'payouts', 'owed')).output.includes('restricted'),
  );
  const record = (amount: string) =>
    cfabAs(operator, 'payouts', 'record', owner.userId, amount, '--reference', 'SEPA no. 118');
  expect((await record('5')).output).toContain('payout/not-enough');
  const recorded = await record('0.50');
  const id = /payout_\w+/.exec(recorded.output)?.[0] ?? '';
  const seenBy = async ({ token }: TestUser) => (await market.call(`/v1/payouts/${id}`, { token })).status;
  expect([await seenBy(owner), await seenBy(operator), await seenBy(renter)]).toEqual([200, 200, 404]);
  expect((await cfabAs(owner, 'payouts', 'list')).output).toMatch(/manual: SEPA no\. 118\s+paid/);
  expect((await cfabAs(operator, 'payouts', 'correct', id, '--because', 'not sent')).code).toBe(0);
  expect((await cfabAs(owner, 'payouts', 'list')).output).toMatch(/reversed: not sent/);
  expect(await auditLedger(market.db)).toEqual([]);
});
