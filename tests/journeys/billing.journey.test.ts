import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startStripeMarket, type StripeMarket } from '../../orchestrator/src/testing/stripe-market.ts';
import type { TestUser } from '../../orchestrator/src/testing/test-market.ts';
import { ensureBundles } from '../../scripts/bundle.mjs';
import { Program, root, until } from './program.ts';

// Paying by the command line as a person does, with the pages of the stand-in in the place of Stripe's.

let market: StripeMarket;
let renter: TestUser;
let home: string;
beforeAll(async () => {
  await ensureBundles(['cli']);
  home = await mkdtemp(join(tmpdir(), 'computefabric-billing-'));
  market = await startStripeMarket();
  renter = await market.addUser({ micros: 0n });
});
afterAll(async () => {
  await market.closeAll();
  await rm(home, { recursive: true, force: true });
});

async function cfab(...args: string[]) {
  const settings = {
    COMPUTEFABRIC_URL: market.url,
    COMPUTEFABRIC_TOKEN: renter.token,
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
