import { formatUsd, parseUsd } from '@computefabric/protocol/money';
import type { Billing, TopUp } from '@computefabric/protocol/user-api/billing';
import { pause } from '@computefabric/runtime/wait';
import type { Cli } from '../cli.ts';
import { usageError } from '../errors/cli-error.ts';
import { exitCode } from '../exit-codes.ts';
import { money } from '../jobs/cost.ts';
import { plainText } from '../terminal/plain-text.ts';
import { facts, table } from '../terminal/table.ts';

const topUpsShown = 10;
/** How often `--wait` asks, and how long, ms: a page of Stripe's stays open for a day, people do not. */
const waitMs = { every: 2_000, most: 1_800_000 };

/** `billing`: balance, what is open, cards, automatic top-up, the last top-ups. */
export async function showBilling(cli: Cli): Promise<number> {
  const client = await cli.client();
  const billing = await client.billing.get();
  const { items } = await client.billing.listTopUps({ limit: topUpsShown });
  if (cli.json) {
    cli.printJson({ ...billing, top_ups: items });
    return exitCode('ok');
  }
  for (const line of facts(billingFacts(billing), '')) cli.print(line);
  if (items.length > 0) {
    const columns = [
      { title: 'TOP-UP' },
      { title: 'AMOUNT', align: 'right' as const },
      { title: 'HOW' },
      { title: 'STATE' },
      { title: 'WHEN' },
    ];
    cli.print();
    for (const line of table(columns, items.map(topUpCells))) cli.print(line);
  }
  for (const line of todo(cli, billing)) cli.say(line);
  return exitCode('ok');
}

/** `billing top-up AMOUNT`: prints the page to pay on; `--wait` until it is paid. */
export async function topUp(
  cli: Cli,
  amount: string,
  flags: { saveCard?: boolean; wait?: boolean },
): Promise<number> {
  const client = await cli.client();
  const { top_up: begun } = await client.billing.createTopUp({
    amount_micros: cents(amount),
    save_card: flags.saveCard === true,
  });
  if (flags.wait !== true) {
    if (cli.json) cli.printJson(begun);
    else {
      cli.print(begun.url ?? '');
      cli.say(`Open this page to pay ${money(begun.amount_micros)}.`);
    }
    return exitCode('ok');
  }
  cli.say(`Open this page to pay ${money(begun.amount_micros)}: ${begun.url ?? ''}`);
  const deadline = performance.now() + waitMs.most;
  let now = begun;
  while (now.state === 'open' || now.state === 'needs_action') {
    if (performance.now() > deadline) return exitCode('timeout');
    await pause(waitMs.every);
    now = await client.billing.getTopUp(begun.id);
  }
  if (cli.json) cli.printJson(now);
  else
    cli.print(
      now.state === 'succeeded'
        ? `${money(now.amount_micros)} is in your balance.`
        : `The top-up is ${now.state}.`,
    );
  return exitCode(now.state === 'succeeded' ? 'ok' : 'money');
}

/** `billing cards`: the saved cards. */
export async function listCards(cli: Cli): Promise<number> {
  const { cards } = await (await cli.client()).billing.get();
  if (cli.json) cli.printJson({ items: cards });
  else if (cards.length === 0) cli.say(`You have no saved card. Add one: ${cli.program} billing cards add`);
  else {
    const columns = [{ title: 'CARD' }, { title: 'NUMBER' }, { title: 'EXPIRES' }, { title: '' }];
    const rows = cards.map((card) => [
      card.id,
      `${plainText(card.brand)} … ${plainText(card.last4)}`,
      `${String(card.exp_month).padStart(2, '0')}/${card.exp_year}`,
      card.is_default ? 'charged when nobody is there' : '',
    ]);
    for (const line of table(columns, rows)) cli.print(line);
  }
  return exitCode('ok');
}

/** `billing cards add`: prints the page on which a card is saved. */
export async function addCard(cli: Cli): Promise<number> {
  const { url } = await (await cli.client()).billing.addCard();
  if (cli.json) cli.printJson({ url });
  else {
    cli.print(url);
    cli.say('Open this page to save a card. Its number is seen by the payment provider alone.');
  }
  return exitCode('ok');
}

/** `billing cards remove CARD` */
export async function removeCard(cli: Cli, card: string): Promise<number> {
  await (await cli.client()).billing.removeCard(card);
  if (cli.json) cli.printJson({ id: card, removed: true });
  else cli.print('The card is removed.');
  return exitCode('ok');
}

/** `billing auto-top-up`: shows, sets or switches off. */
export async function autoTopUp(
  cli: Cli,
  flags: { below?: string; amount?: string; monthly?: string; off?: boolean },
): Promise<number> {
  const client = await cli.client();
  const given = [flags.below, flags.amount, flags.monthly].filter((flag) => flag !== undefined);
  if (flags.off === true && given.length > 0) throw usageError('--off stands alone');
  let auto: Billing['auto_top_up'];
  if (flags.off === true) auto = (await client.billing.setAutoTopUp(null)).auto_top_up;
  else if (given.length === 0) auto = (await client.billing.get()).auto_top_up;
  else {
    if (flags.below === undefined || flags.amount === undefined || flags.monthly === undefined) {
      throw usageError(
        '--below, --amount and --monthly go together',
        'such as --below 5 --amount 20 --monthly 100',
      );
    }
    const settings = {
      threshold_micros: cents(flags.below),
      amount_micros: cents(flags.amount),
      monthly_ceiling_micros: cents(flags.monthly),
    };
    auto = (await client.billing.setAutoTopUp(settings)).auto_top_up;
  }
  if (cli.json) cli.printJson({ auto_top_up: auto });
  else cli.print(autoText(auto));
  return exitCode('ok');
}

/** `billing refund [AMOUNT]`: unspent money back to the cards that it came from. */
export async function refund(cli: Cli, amount: string | undefined): Promise<number> {
  const { items } = await (await cli.client()).billing.refund(amount === undefined ? null : cents(amount));
  const total = items.reduce((sum, item) => sum + BigInt(item.amount_micros), 0n);
  if (cli.json) cli.printJson({ items });
  else
    cli.print(
      `${formatUsd(total)} is on its way to ${items.length === 1 ? 'the card' : 'the cards'} it came from.`,
    );
  return exitCode('ok');
}

/** `billing pay`: tries again what the card was refused for. */
export async function payOwed(cli: Cli): Promise<number> {
  const { unpaid } = await (await cli.client()).billing.pay();
  if (cli.json) cli.printJson({ unpaid });
  else cli.print(`The card is charged again. See what became of it: ${cli.program} billing`);
  return exitCode('ok');
}

function billingFacts(billing: Billing): [string, string][] {
  const lines: [string, string][] = [
    ['available', money(billing.available_micros)],
    ['held', `${money(billing.held_micros)}   reserved for unfinished jobs`],
  ];
  if (billing.owed_micros !== '0') lines.push(['owed', money(billing.owed_micros)]);
  if (billing.disputed_micros !== '0') lines.push(['disputed', money(billing.disputed_micros)]);
  if (!billing.configured) return lines;
  if (billing.mode === 'per_job') {
    lines.push(['paid', `by card after each job, ${money(billing.credit_limit_micros)} at once`]);
  }
  const [card] = billing.cards;
  const none = billing.cards_known ? 'none' : 'not known just now';
  lines.push(['card', card ? `${plainText(card.brand)} … ${plainText(card.last4)}` : none]);
  if (billing.mode === 'prepaid') lines.push(['top-up', autoText(billing.auto_top_up)]);
  return lines;
}

function autoText(auto: Billing['auto_top_up']): string {
  if (!auto) return 'not by itself';
  const rule = `${money(auto.amount_micros)} below ${money(auto.threshold_micros)}, at most ${money(auto.monthly_ceiling_micros)} a month`;
  return auto.paused_because === null ? rule : `off: ${plainText(auto.paused_because)} (${rule})`;
}

function topUpCells(topUp: TopUp): string[] {
  const why = topUp.failure && topUp.state !== 'succeeded' ? `: ${plainText(topUp.failure.message)}` : '';
  return [topUp.id, money(topUp.amount_micros), topUp.method, `${topUp.state}${why}`, topUp.created_at];
}

/** What a person can do about what is open. */
function todo(cli: Cli, billing: Billing): string[] {
  const lines: string[] = [];
  if (!billing.configured) lines.push('This market uses play money: nobody is charged.');
  if (billing.frozen_by === 'dispute') {
    lines.push('A payment was claimed back: jobs can be submitted when the bank has decided.');
  }
  if (billing.frozen_by === 'unpaid') {
    const how = billing.mode === 'per_job' ? 'billing pay' : 'billing top-up';
    lines.push(`Something is owed: jobs can be submitted when it is paid (${cli.program} ${how}).`);
  }
  for (const { url, amount_micros: amount } of billing.unpaid.filter(({ url }) => url !== null)) {
    lines.push(`Your bank wants you to confirm ${money(amount)}: ${url}`);
  }
  return lines;
}

/** An amount that a person typed, as whole cents in micros. */
function cents(text: string): string {
  const micros = parseUsd(text);
  if (micros === null) throw usageError(`"${text}" is not an amount in USD`, 'such as 20 or 12.50');
  if (micros % 10_000n !== 0n)
    throw usageError(`"${text}" has parts of a cent`, 'cards are charged in whole cents');
  return String(micros);
}
