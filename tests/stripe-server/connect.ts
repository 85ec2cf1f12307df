import { z } from 'zod';
import { endpoint, listOf } from './endpoint.ts';
import type { Account, Payout, Transfer } from './objects.ts';
import { amount, created, currency, expand, flag, isWithin, metadata, page, text, url } from './params.ts';
import { invalid, missing } from './refusal.ts';
import type { World } from './world.ts';

const requirement = [
  'individual.first_name',
  'individual.last_name',
  'external_account',
  'tos_acceptance.date',
];

/** What a person does on the onboarding page: says who they are and gives a bank account. */
export function completeOnboarding(world: World, account: Account): void {
  account.details_submitted = true;
  account.payouts_enabled = true;
  for (const name of Object.keys(account.capabilities)) account.capabilities[name] = 'active';
  account.requirements = { ...account.requirements, currently_due: [], eventually_due: [] };
  world.emit('account.updated', account, account.id);
}

/** Stripe wants to know more and holds transfers and payouts until it does. */
export function restrictAccount(world: World, account: Account): void {
  account.payouts_enabled = false;
  for (const name of Object.keys(account.capabilities)) account.capabilities[name] = 'inactive';
  account.requirements.currently_due = ['individual.verification.document'];
  account.requirements.past_due = ['individual.verification.document'];
  account.requirements.disabled_reason = 'requirements.past_due';
  world.emit('account.updated', account, account.id);
}

function reverse(world: World, transfer: Transfer, cents: number, reversalMetadata: Record<string, string>) {
  const left = transfer.amount - transfer.amount_reversed;
  if (cents > left)
    throw invalid(
      `Reversal amount is greater than the unreversed amount of the transfer (${left}).`,
      undefined,
      'amount',
    );
  const id = world.newId('trr');
  world.moveBalance({ type: 'transfer_refund', amount: -cents, source: id }, transfer.destination);
  transfer.amount_reversed += cents;
  transfer.reversed = transfer.amount_reversed === transfer.amount;
  const reversal = world.add('transfer_reversal', {
    id,
    object: 'transfer_reversal',
    amount: cents,
    balance_transaction: world.moveBalance({
      type: 'transfer_refund',
      amount: cents,
      source: id,
      available: true,
    }).id,
    created: world.now(),
    currency: transfer.currency,
    metadata: reversalMetadata,
    transfer: transfer.id,
  });
  world.emit('transfer.reversed', transfer);
  return reversal;
}

/** A payout that was sent comes back from the bank. */
export function failPayout(world: World, payout: Payout, account: string | undefined): void {
  payout.status = 'failed';
  payout.failure_code = 'account_closed';
  payout.failure_message = 'The bank account has been closed.';
  world.moveBalance(
    { type: 'payout_failure', amount: payout.amount, source: payout.id, available: true },
    account,
  );
  world.emit('payout.failed', payout, account);
}

export function payPayout(world: World, payout: Payout, account: string | undefined): void {
  payout.status = 'paid';
  world.emit('payout.paid', payout, account);
}

const controller = z.strictObject({
  fees: z.strictObject({ payer: z.enum(['account', 'application']) }).optional(),
  losses: z.strictObject({ payments: z.enum(['application', 'stripe']) }).optional(),
  requirement_collection: z.enum(['application', 'stripe']).optional(),
  stripe_dashboard: z.strictObject({ type: z.enum(['express', 'full', 'none']) }).optional(),
});
const capability = z.strictObject({ requested: flag });

export const connectEndpoints = [
  endpoint(
    'POST',
    '/v1/accounts',
    z.strictObject({
      controller: controller.optional(),
      type: z.enum(['custom', 'express', 'standard']).optional(),
      country: z
        .string()
        .regex(/^[A-Z]{2}$/, 'two capital letters expected')
        .optional(),
      email: text.optional(),
      business_type: z.enum(['individual', 'company', 'non_profit', 'government_entity']).optional(),
      default_currency: currency.optional(),
      capabilities: z
        .strictObject({ transfers: capability.optional(), card_payments: capability.optional() })
        .optional(),
      settings: z
        .strictObject({
          payouts: z
            .strictObject({
              schedule: z
                .strictObject({
                  interval: z.enum(['manual', 'daily', 'weekly', 'monthly']),
                  weekly_anchor: text.optional(),
                })
                .optional(),
            })
            .optional(),
        })
        .optional(),
      metadata: metadata.optional(),
      ...expand,
    }),
    (params, { world }) => {
      if (params.controller !== undefined && params.type !== undefined) {
        throw invalid(
          'You may not provide the `type` parameter and `controller` parameters simultaneously.',
          'parameter_invalid',
          'type',
        );
      }
      const account = world.add('account', {
        id: world.newId('acct'),
        object: 'account',
        capabilities: Object.fromEntries(
          Object.keys(params.capabilities ?? {}).map((name) => [name, 'inactive' as const]),
        ),
        charges_enabled: false,
        controller: { type: 'application', ...params.controller },
        country: params.country ?? 'US',
        created: world.now(),
        default_currency: params.default_currency ?? 'usd',
        details_submitted: false,
        email: params.email ?? null,
        metadata: params.metadata ?? {},
        payouts_enabled: false,
        requirements: {
          currently_due: [...requirement],
          eventually_due: [...requirement],
          past_due: [],
          pending_verification: [],
          disabled_reason: 'requirements.past_due',
        },
        type: params.controller?.stripe_dashboard?.type === 'express' ? 'express' : 'none',
      });
      return account;
    },
  ),
  endpoint('GET', '/v1/accounts/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('account', path.id ?? '', 'account'),
  ),
  endpoint('GET', '/v1/accounts', z.strictObject({ ...page, ...created }), (params, { world }) =>
    listOf(
      '/v1/accounts',
      world.all('account').filter((one) => isWithin(one.created ?? 0, params.created)),
      params,
    ),
  ),
  endpoint(
    'POST',
    '/v1/account_links',
    z.strictObject({
      account: text,
      type: z.enum(['account_onboarding', 'account_update']),
      return_url: url,
      refresh_url: url,
      collection_options: z.strictObject({ fields: z.enum(['currently_due', 'eventually_due']) }).optional(),
      ...expand,
    }),
    (params, { world }) => {
      const { id } = world.get('account', params.account, 'account');
      const page = world.newId('link');
      world.pages.set(page, { kind: 'onboarding', subject: id, returnUrl: params.return_url });
      const now = world.now();
      return {
        object: 'account_link',
        created: now,
        expires_at: now + 300,
        url: `${world.baseUrl}/pages/${page}`,
      };
    },
  ),
  endpoint('POST', '/v1/accounts/:id/login_links', z.strictObject(expand), (_params, { world, path }) => {
    const account = world.get('account', path.id ?? '', 'account');
    if (account.type !== 'express')
      throw invalid('Cannot create a login link for an account without an Express dashboard.');
    return { object: 'login_link', created: world.now(), url: `${world.baseUrl}/express/${account.id}` };
  }),
  endpoint(
    'POST',
    '/v1/transfers',
    z.strictObject({
      amount,
      currency,
      destination: text,
      description: text.optional(),
      transfer_group: text.optional(),
      source_transaction: text.optional(),
      metadata: metadata.optional(),
      ...expand,
    }),
    (params, { world }) => {
      world.requireUsd(params.currency);
      const account = world.find('account', params.destination);
      if (!account) throw missing('destination', params.destination, 'destination');
      if (account.capabilities.transfers !== 'active') {
        throw invalid(
          'Your destination account needs to have at least one of the following capabilities enabled: transfers, crypto_transfers, legacy_payments',
          'insufficient_capabilities_for_transfer',
        );
      }
      if (params.source_transaction === undefined) {
        if (world.balance().available < params.amount) {
          throw invalid(
            'You have insufficient available funds in your Stripe account.',
            'balance_insufficient',
          );
        }
      } else world.get('charge', params.source_transaction, 'source_transaction');
      const id = world.newId('tr');
      const payment = world.newId('py');
      world.moveBalance(
        { type: 'payment', amount: params.amount, source: payment, available: true },
        account.id,
      );
      const transfer = world.add('transfer', {
        id,
        object: 'transfer',
        amount: params.amount,
        amount_reversed: 0,
        balance_transaction: world.moveBalance({ type: 'transfer', amount: -params.amount, source: id }).id,
        created: world.now(),
        currency: params.currency,
        description: params.description ?? null,
        destination: account.id,
        destination_payment: payment,
        livemode: false,
        metadata: params.metadata ?? {},
        reversed: false,
        source_transaction: params.source_transaction ?? null,
        transfer_group: params.transfer_group ?? null,
      });
      world.emit('transfer.created', transfer);
      return transfer;
    },
  ),
  endpoint('GET', '/v1/transfers/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('transfer', path.id ?? ''),
  ),
  endpoint(
    'GET',
    '/v1/transfers',
    z.strictObject({ ...page, ...created, destination: text.optional(), transfer_group: text.optional() }),
    (params, { world }) =>
      listOf(
        '/v1/transfers',
        world
          .all('transfer')
          .filter((one) => params.destination === undefined || one.destination === params.destination)
          .filter(
            (one) => params.transfer_group === undefined || one.transfer_group === params.transfer_group,
          )
          .filter((one) => isWithin(one.created, params.created)),
        params,
      ),
  ),
  endpoint(
    'POST',
    '/v1/transfers/:id/reversals',
    z.strictObject({
      amount: amount.optional(),
      description: text.optional(),
      metadata: metadata.optional(),
      ...expand,
    }),
    (params, { world, path }) => {
      const transfer = world.get('transfer', path.id ?? '');
      return reverse(
        world,
        transfer,
        params.amount ?? transfer.amount - transfer.amount_reversed,
        params.metadata ?? {},
      );
    },
  ),
  endpoint('GET', '/v1/transfers/:id/reversals', z.strictObject(page), (params, { world, path }) => {
    const { id } = world.get('transfer', path.id ?? '');
    return listOf(
      `/v1/transfers/${id}/reversals`,
      world.all('transfer_reversal').filter(({ transfer }) => transfer === id),
      params,
    );
  }),
  endpoint(
    'POST',
    '/v1/payouts',
    z.strictObject({
      amount,
      currency,
      description: text.optional(),
      metadata: metadata.optional(),
      ...expand,
    }),
    (params, { world, account }) => {
      world.requireUsd(params.currency);
      if (world.balance(account).available < params.amount) {
        throw invalid(
          'You have insufficient funds in your Stripe account for this payout.',
          'balance_insufficient',
        );
      }
      if (account !== undefined && !world.get('account', account, 'account').payouts_enabled) {
        throw invalid('Payouts are not enabled for this account.', 'payouts_not_allowed');
      }
      const id = world.newId('po');
      const payout = world.add(
        'payout',
        {
          id,
          object: 'payout',
          amount: params.amount,
          arrival_date: world.now() + 86_400,
          automatic: false,
          balance_transaction: world.moveBalance(
            { type: 'payout', amount: -params.amount, source: id },
            account,
          ).id,
          created: world.now(),
          currency: params.currency,
          failure_code: null,
          failure_message: null,
          livemode: false,
          metadata: params.metadata ?? {},
          status: 'pending',
        },
        account,
      );
      world.emit('payout.created', payout, account);
      return payout;
    },
  ),
  endpoint('GET', '/v1/payouts/:id', z.strictObject(expand), (_params, { world, path }) =>
    world.get('payout', path.id ?? ''),
  ),
  endpoint('GET', '/v1/payouts', z.strictObject(page), (params, { world, account }) =>
    listOf('/v1/payouts', world.all('payout', account), params),
  ),
];
