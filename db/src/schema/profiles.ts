import type { ProfileId, UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment } from '../columns.ts';
import { users } from './users.ts';

/** What an account tells about itself and prefers. Apart from `users` because people change it. */
export const profiles = pgTable(
  'profiles',
  {
    id: text().$type<ProfileId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .unique()
      .references(() => users.id),
    displayName: text().notNull(),
    /** Price limit of jobs that name none, per GPU-hour or core-hour; null takes the market's default. */
    defaultMaxPricePerHourMicros: micros(),
    createdAt: moment().notNull().defaultNow(),
    updatedAt: moment().notNull().defaultNow(),
  },
  (t) => [check('profiles_default_max_price', sql`${t.defaultMaxPricePerHourMicros} >= 0`)],
);
