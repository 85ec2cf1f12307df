import { randomBytes } from 'node:crypto';
import type * as objects from './objects.ts';
import type { TestCard } from './cards.ts';
import { invalid, missing } from './refusal.ts';

/** Every kind of object by the name that Stripe gives it. */
interface Kinds {
  customer: objects.Customer;
  payment_method: objects.PaymentMethod;
  payment_intent: objects.PaymentIntent;
  setup_intent: objects.SetupIntent;
  charge: objects.Charge;
  refund: objects.Refund;
  dispute: objects.Dispute;
  balance_transaction: objects.BalanceTransaction;
  'checkout.session': objects.CheckoutSession;
  account: objects.Account;
  transfer: objects.Transfer;
  transfer_reversal: objects.TransferReversal;
  payout: objects.Payout;
  webhook_endpoint: objects.WebhookEndpoint;
  event: objects.Event;
}
export type Kind = keyof Kinds;

export const apiVersion = '2026-10-28.endive';
/** Cents that Stripe keeps of a charge: 2.9 % and 30. */
export const chargeFee = (cents: number) => Math.round(cents * 0.029) + 30;
/** Cents that a dispute costs. */
export const disputeFee = 1_500;
const pendingSeconds = 2 * 86_400;

/** What the stand-in remembers: one Stripe account with everything in it. */
export class World {
  readonly #byKind = new Map<Kind, Map<string, Kinds[Kind]>>();
  readonly #kindOf = new Map<string, Kind>();
  /** Which connected account an object lies in; the others are the platform's own. */
  readonly #accountOf = new Map<string, string>();
  readonly cardOf = new Map<string, TestCard>();
  /** Pages where a person acts. */
  readonly pages = new Map<
    string,
    { kind: 'onboarding' | 'authentication'; subject: string; returnUrl: string | null }
  >();
  /** Called with each event. */
  onEvent: (event: objects.Event) => void = () => {};
  #clockSkewSeconds = 0;
  #lastCreated = 0;

  /** Address of the stand-in, for pages. */
  baseUrl = '';

  now(): number {
    return Math.floor(Date.now() / 1_000) + this.#clockSkewSeconds;
  }

  advance(seconds: number): void {
    this.#clockSkewSeconds += seconds;
  }

  newId(prefix: string): string {
    // Ends on a number that grows, so that what is made later sorts later.
    this.#lastCreated += 1;
    return `${prefix}_standin${randomBytes(6).toString('hex')}${String(this.#lastCreated).padStart(8, '0')}`;
  }

  add<K extends Kind>(kind: K, object: Kinds[K], account?: string): Kinds[K] {
    this.#table(kind).set(object.id, object);
    this.#kindOf.set(object.id, kind);
    if (account !== undefined) this.#accountOf.set(object.id, account);
    return object;
  }

  find<K extends Kind>(kind: K, id: string): Kinds[K] | undefined {
    return this.#table(kind).get(id);
  }

  get<K extends Kind>(kind: K, id: string, param = 'id'): Kinds[K] {
    const object = this.find(kind, id);
    if (!object) throw missing(kind, id, param);
    return object;
  }

  /** Newest first, as Stripe lists; of the platform, or of a connected account. */
  all<K extends Kind>(kind: K, account?: string): Kinds[K][] {
    return [...this.#table(kind).values()]
      .filter(({ id }) => this.#accountOf.get(id) === account)
      .toReversed();
  }

  /** Any object by its id, for `expand`. */
  byId(id: string): object | undefined {
    const kind = this.#kindOf.get(id);
    return kind && this.#table(kind).get(id);
  }

  /** Writes an event with the object as it is now. */
  emit(type: string, object: object, account?: string): objects.Event {
    const event: objects.Event = {
      id: this.newId('evt'),
      object: 'event',
      api_version: apiVersion,
      created: this.now(),
      data: { object: structuredClone(object) },
      livemode: false,
      pending_webhooks: 0,
      request: { id: null, idempotency_key: null },
      type,
      ...(account === undefined ? {} : { account }),
    };
    this.add('event', event);
    this.onEvent(event);
    return event;
  }

  /** Moves money in the balance of the platform, or of a connected account. Cents, signed. */
  moveBalance(
    move: Pick<objects.BalanceTransaction, 'type' | 'amount'> & {
      source: string | null;
      fee?: number;
      available?: boolean;
      description?: string;
      currency?: string;
    },
    account?: string,
  ): objects.BalanceTransaction {
    const fee = move.fee ?? 0;
    const now = this.now();
    const available = move.available ?? move.amount < 0;
    return this.add(
      'balance_transaction',
      {
        id: this.newId('txn'),
        object: 'balance_transaction',
        amount: move.amount,
        available_on: available ? now : now + pendingSeconds,
        created: now,
        currency: move.currency ?? 'usd',
        description: move.description ?? null,
        exchange_rate: null,
        fee,
        fee_details:
          fee === 0
            ? []
            : [
                {
                  amount: fee,
                  application: null,
                  currency: 'usd',
                  description: 'Stripe processing fees',
                  type: 'stripe_fee',
                },
              ],
        net: move.amount - fee,
        reporting_category: move.type,
        source: move.source,
        status: available ? 'available' : 'pending',
        type: move.type,
      },
      account,
    );
  }

  /** Cents by what may be used. */
  balance(account?: string): { available: number; pending: number } {
    const sum = (status: string) =>
      this.all('balance_transaction', account)
        .filter(
          (transaction) =>
            (transaction.available_on <= this.now() ? 'available' : transaction.status) === status,
        )
        .reduce((total, { net }) => total + net, 0);
    return { available: sum('available'), pending: sum('pending') };
  }

  /** The customer must be one of ours. */
  customer(id: string | undefined): string | null {
    if (id === undefined) return null;
    return this.get('customer', id, 'customer').id;
  }

  requireUsd(currency: string): void {
    if (currency === 'usd') return;
    throw invalid(
      `The stand-in's account settles in usd and takes no ${currency}.`,
      'invalid_currency',
      'currency',
    );
  }

  #table<K extends Kind>(kind: K): Map<string, Kinds[K]> {
    const table = this.#byKind.get(kind) ?? new Map<string, Kinds[Kind]>();
    this.#byKind.set(kind, table);
    return table as Map<string, Kinds[K]>;
  }
}
