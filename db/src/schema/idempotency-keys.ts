import type { UserId } from '@computefabric/protocol/ids';
import { integer, jsonb, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
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
  (t) => [primaryKey({ columns: [t.key, t.userId] })],
);
