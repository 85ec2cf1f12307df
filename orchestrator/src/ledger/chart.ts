import type { Db, Tx } from '@computefabric/db/client';
import type { AccountKind } from '@computefabric/db/schema/ledger-accounts';
import type { AccountId, UserId } from '@computefabric/protocol/ids';
import { invariant } from '@computefabric/runtime/invariant';
import { findAccount, findAccountsOf, makeAccount } from './ledger.store.ts';

type UserAccountKind = Extract<AccountKind, `renter_${string}` | `provider_${string}`>;
type MarketAccountKind = Exclude<AccountKind, UserAccountKind>;

/** The account of a user; made on first use. */
export function userAccount(tx: Tx, kind: UserAccountKind, ownerId: UserId): Promise<AccountId> {
  return findOrMake(tx, kind, ownerId);
}

/** The accounts of these users; those that are missing are made. */
export async function userAccounts(
  tx: Tx,
  kind: UserAccountKind,
  ownerIds: readonly UserId[],
): Promise<ReadonlyMap<UserId, AccountId>> {
  const owners = [...new Set(ownerIds)];
  const found = await findAccountsOf(tx, kind, owners);
  // In one order: two who make accounts for the same users wait for each other and never in a circle.
  for (const ownerId of owners.filter((id) => !found.has(id)).toSorted()) {
    found.set(ownerId, await findOrMake(tx, kind, ownerId));
  }
  return found;
}

/** The market's own account of this kind; made on first use. */
export function marketAccount(tx: Tx, kind: MarketAccountKind): Promise<AccountId> {
  return findOrMake(tx, kind, null);
}

/** What a user's account holds now, micros; 0 when it was never used. */
export async function balanceMicros(db: Db | Tx, kind: UserAccountKind, ownerId: UserId): Promise<bigint> {
  const account = await findAccount(db, kind, ownerId);
  return account ? account.creditsMicros - account.debitsMicros : 0n;
}

async function findOrMake(tx: Tx, kind: AccountKind, ownerId: UserId | null): Promise<AccountId> {
  const existing = await findAccount(tx, kind, ownerId);
  if (existing) return existing.id;
  await makeAccount(tx, kind, ownerId);
  const made = await findAccount(tx, kind, ownerId);
  invariant(made, `ledger account ${kind} of ${ownerId ?? 'the market'} exists once it was made`);
  return made.id;
}
