import { createDb, type Db } from '@computefabric/db/client';
import { ledgerAccounts } from '@computefabric/db/schema/ledger-accounts';
import { ledgerTransfers } from '@computefabric/db/schema/ledger-transfers';
import { users } from '@computefabric/db/schema/users';
import { createTestDatabase } from '@computefabric/db/testing';
import { type AccountId, newId, type UserId } from '@computefabric/protocol/ids';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Viewer } from '@/types/market-view.ts';
import { listLedger } from './list-ledger.ts';

let db: Db;
let close: () => Promise<void>;

beforeAll(async () => {
  const database = await createTestDatabase();
  const connection = createDb(database.url);
  db = connection.db;
  close = async () => {
    await connection.close();
    await database.close();
  };
});

afterAll(async () => {
  await close();
});

async function account(kind: typeof ledgerAccounts.$inferInsert.kind, ownerId?: UserId): Promise<AccountId> {
  const id = newId('account');
  await db.insert(ledgerAccounts).values({ id, kind, ownerId: ownerId ?? null });
  return id;
}

async function newViewer(): Promise<Viewer & { available: AccountId; held: AccountId; payable: AccountId }> {
  const userId = newId('user');
  const email = `${userId}@example.org`;
  await db.insert(users).values({ id: userId, email });
  return {
    userId,
    name: 'Ana',
    email,
    isLocalOperator: false,
    available: await account('renter_available', userId),
    held: await account('renter_held', userId),
    payable: await account('provider_payable', userId),
  };
}

it('shows what moved one’s money, newest first, page after page, and nobody else’s', async () => {
  const promotions = await account('promotions');
  const [ana, ben] = [await newViewer(), await newViewer()];
  const move = (id: string, debitAccountId: AccountId, creditAccountId: AccountId, amountMicros: bigint) => ({
    id,
    kind: 'correction' as const,
    debitAccountId,
    creditAccountId,
    amountMicros,
  });
  // One statement each: what is moved in one transaction has one moment.
  for (const { available, held, userId } of [ana, ben]) {
    await db
      .insert(ledgerTransfers)
      .values([
        move(`a:${userId}`, promotions, available, 100n),
        move(`b:${userId}`, available, held, 60n),
        move(`c:${userId}`, held, available, 20n),
      ]);
  }
  await db.insert(ledgerTransfers).values(move(`d:${ben.userId}`, ben.held, ana.payable, 40n));

  const first = await listLedger(db, ana, null, 2);
  expect(first.items.map(({ id, effect }) => [id, effect])).toEqual([
    [`c:${ana.userId}`, 'within'],
    [`b:${ana.userId}`, 'within'],
  ]);
  const second = await listLedger(db, ana, first.nextCursor, 2);
  // What her machines earn is not the money that she spends.
  expect(second.items.map(({ id, effect, amountMicros }) => [id, effect, amountMicros])).toEqual([
    [`a:${ana.userId}`, 'in', 100n],
  ]);
  expect(second.nextCursor).toBeNull();
  const [paid] = (await listLedger(db, ben, null, 10)).items;
  expect(paid).toMatchObject({ id: `d:${ben.userId}`, effect: 'out' });
});

it('begins at the beginning where a cursor is none', async () => {
  const viewer = await newViewer();
  expect(await listLedger(db, viewer, "'; drop table jobs", 5)).toEqual({ items: [], nextCursor: null });
});
