import type { UserId } from '@computefabric/protocol/ids';
import { userRoles } from '@computefabric/protocol/user-api/account';
import { check, pgTable, text } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';

/** An account: somebody who rents, owns machines, or operates the market (often all of them). */
export const users = pgTable(
  'users',
  {
    id: text().$type<UserId>().primaryKey(),
    email: text().notNull().unique(),
    role: text({ enum: userRoles }).notNull().default('member'),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [check('users_role', oneOf(t.role, userRoles))],
);
