import type { AccountKind } from '@computefabric/db/schema/ledger-accounts';
import { overdrawnKinds } from '@computefabric/db/schema/ledger-accounts';
import type { TransferKind } from '@computefabric/db/schema/ledger-transfers';
import { type JobId, type LeaseId, newId } from '@computefabric/protocol/ids';

/** A movement between accounts by name: a kind, and for somebody's account whose. */
export interface Move {
  id: string;
  kind: TransferKind;
  from: string;
  to: string;
  amountMicros: bigint;
  jobId?: JobId;
  leaseId?: LeaseId;
}

/** `renter_available 3`: the account of person 3; `platform_fees`: the market's own. */
export function nameOf(kind: AccountKind, person?: number): string {
  return person === undefined ? kind : `${kind} ${person}`;
}

const mayOverdraw: ReadonlySet<string> = new Set(overdrawnKinds);

/** What one worker believes of its people's accounts; nobody else moves their money. */
export class Model {
  readonly balances = new Map<string, bigint>();
  /** Jobs whose hold is pending. */
  readonly held: { jobId: JobId; person: number; micros: bigint }[] = [];
  readonly inTransit: { person: number; micros: bigint; cause: string }[] = [];
  readonly disputed: { person: number; micros: bigint; cause: string }[] = [];

  balance(name: string): bigint {
    return this.balances.get(name) ?? 0n;
  }

  apply(moves: readonly Move[]): void {
    for (const { from, to, amountMicros } of moves) {
      this.balances.set(from, this.balance(from) - amountMicros);
      this.balances.set(to, this.balance(to) + amountMicros);
    }
  }

  /** Whether the database must refuse these moves together. */
  overspends(moves: readonly Move[]): boolean {
    const after = new Map<string, bigint>();
    const at = (name: string) => after.get(name) ?? this.balance(name);
    for (const { from, to, amountMicros } of moves) {
      after.set(from, at(from) - amountMicros);
      after.set(to, at(to) + amountMicros);
    }
    return [...after].some(([name, balance]) => balance < 0n && !mayOverdraw.has(name.split(' ')[0] ?? ''));
  }
}

/** 0 ≤ x < 1, the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Draws one thing that may happen to money and applies it to the model: holds that are posted in part or whole or
 * voided, money in and out, refunds, claw-backs that leave a debt, payouts that arrive or come back, disputes.
 */
export function drawOperation(model: Model, random: () => number, people: readonly number[]): Move[] {
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const take = <T>(items: T[]): T | undefined => items.splice(Math.floor(random() * items.length), 1)[0];
  const person = pick(people) ?? 0;
  const part = (of: bigint) => 1n + (of * BigInt(Math.floor(random() * 1_000))) / 1_000n;
  const cause = newId('job').slice(4);
  const available = nameOf('renter_available', person);
  const payable = nameOf('provider_payable', person);
  const one = (kind: TransferKind, from: string, to: string, amountMicros: bigint, id = cause): Move[] =>
    amountMicros > 0n ? [{ id: `${kind}:${id}`, kind, from, to, amountMicros }] : [];
  const drawn = ((): Move[] => {
    const dice = random();
    if (dice < 0.1) return one('top-up', 'stripe_clearing', available, part(1_000_000n));
    if (dice < 0.4) {
      const has = model.balance(available);
      if (has < 2n) return one('grant', 'promotions', available, part(100_000n));
      const jobId = newId('job');
      const micros = part(has / 8n);
      model.held.push({ jobId, person, micros });
      const to = nameOf('renter_held', person);
      return [{ id: `hold:${jobId}`, kind: 'hold', from: available, to, amountMicros: micros, jobId }];
    }
    if (dice < 0.65) return settle(take(model.held), pick(people) ?? 0, random);
    if (dice < 0.72) return one('payout', payable, nameOf('provider_in_transit', person), transit(part));
    if (dice < 0.78) {
      const sent = take(model.inTransit);
      if (!sent) return [];
      const from = nameOf('provider_in_transit', sent.person);
      return random() < 0.7
        ? one('payout-sent', from, 'stripe_clearing', sent.micros, sent.cause)
        : one('payout-returned', from, nameOf('provider_payable', sent.person), sent.micros, sent.cause);
    }
    if (dice < 0.83) return one('refund', 'refunds', available, part(5_000n));
    if (dice < 0.88) {
      // Taken back from the owner; what was paid out already is owed.
      const wanted = part(50_000n);
      const has = model.balance(payable);
      const here = smaller(has, wanted);
      return [
        ...one('claw-back', payable, available, here),
        ...one('debt', nameOf('provider_debt', person), available, wanted - here),
      ];
    }
    if (dice < 0.93) {
      const micros = part(100_000n);
      const has = model.balance(available);
      const here = smaller(has, micros);
      model.disputed.push({ person, micros, cause });
      const to = nameOf('renter_disputed', person);
      return [
        ...one('dispute', available, to, here),
        ...one('debt', nameOf('renter_debt', person), to, micros - here, `${cause}:dispute`),
      ];
    }
    if (dice < 0.97) {
      const over = take(model.disputed);
      if (!over) return [];
      const from = nameOf('renter_disputed', over.person);
      return random() < 0.5
        ? one('dispute-won', from, nameOf('renter_available', over.person), over.micros, over.cause)
        : one('dispute-lost', from, 'stripe_clearing', over.micros, over.cause);
    }
    const owed = -model.balance(nameOf('renter_debt', person));
    const has = model.balance(available);
    return one('debt-paid', available, nameOf('renter_debt', person), smaller(owed, has));
  })();
  model.apply(drawn);
  return drawn;

  function transit(of: (most: bigint) => bigint): bigint {
    const has = model.balance(payable);
    if (has < 2n) return 0n;
    const micros = of(has / 2n);
    model.inTransit.push({ person, micros, cause });
    return micros;
  }
}

/** A hold comes to its end: paid out in part or whole and the rest back, or all of it back. */
function settle(
  hold: { jobId: JobId; person: number; micros: bigint } | undefined,
  owner: number,
  random: () => number,
): Move[] {
  if (!hold) return [];
  const { jobId, person, micros } = hold;
  const from = nameOf('renter_held', person);
  const dice = random();
  const cost =
    dice < 0.2 ? 0n : dice < 0.4 ? micros : (micros * BigInt(Math.floor(random() * 1_000))) / 1_000n;
  const fee = cost / 20n;
  const leaseId = newId('lease');
  const ids = `${jobId}:${leaseId}`;
  const to = nameOf('provider_payable', owner);
  const moves: Move[] = [
    { id: `earn:${ids}`, kind: 'earn', from, to, amountMicros: cost - fee, jobId, leaseId },
    { id: `fee:${ids}`, kind: 'fee', from, to: 'platform_fees', amountMicros: fee, jobId, leaseId },
    {
      id: `release:${jobId}`,
      kind: 'release',
      from,
      to: nameOf('renter_available', person),
      amountMicros: micros - cost,
      jobId,
    },
  ];
  return moves.filter(({ amountMicros }) => amountMicros > 0n);
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
