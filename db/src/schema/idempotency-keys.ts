import type { UserId } from '@computefabric/protocol/ids';
import { integer, jsonb, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';
import { users } from './users.ts';

/** The first answer to a create, given again to every repeat. Written in the transaction of its effect. */
export const idempotencyKeys = pgTable(
  'idempotency_keys',
  {
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    key: text().notNull(),
    /** Contract id and SHA-256 of the parsed request: the same key with another request is refused. */
    requestHash: text().notNull(),
    status: integer().notNull(),
    reply: jsonb().$type<unknown>().notNull(),
    createdAt: moment().notNull().defaultNow(),
  },
  // A unique index and no composite primary key: drizzle-kit reads the columns of one back in any order.
  (t) => [uniqueIndex('idempotency_keys_owner').on(t.userId, t.key)],
);
