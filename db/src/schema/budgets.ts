import { budgetActions, budgetPeriods, budgetScopes } from '@computefabric/protocol/cost-limit';
import type { ApiKeyId, BudgetId, UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, index, integer, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { apiKeys } from './api-keys.ts';
import { users } from './users.ts';

/**
 * A limit that a renter sets on spending, of the account or of one API key. Its row is the counter: what unsettled
 * jobs have reserved and what settled ones have cost. A submit adds its hold under the row's lock and is refused
 * where that would pass the amount, so that no number of submits at once passes it.
 */
export const budgets = pgTable(
  'budgets',
  {
    id: text().$type<BudgetId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    scope: text({ enum: budgetScopes }).notNull(),
    apiKeyId: text()
      .$type<ApiKeyId>()
      .references(() => apiKeys.id),
    period: text({ enum: budgetPeriods }).notNull(),
    amountMicros: micros().notNull(),
    onLimit: text({ enum: budgetActions }).notNull().default('stop-new'),
    reservedMicros: micros().notNull().default(sql`'0'`),
    /** In the period that began at `periodStart`; what is older counts no more. */
    spentMicros: micros().notNull().default(sql`'0'`),
    periodStart: moment().notNull(),
    /** The last warning of this period, per cent; 0 before the first. */
    warnedPercent: integer().notNull().default(0),
    /** Used up: queued jobs wait until it is raised or a new month begins. */
    exhaustedAt: moment(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    check(
      'budgets_scope',
      sql`${oneOf(t.scope, budgetScopes)} and (${t.scope} = 'api-key') = (${t.apiKeyId} is not null)`,
    ),
    check('budgets_period', oneOf(t.period, budgetPeriods)),
    check('budgets_action', oneOf(t.onLimit, budgetActions)),
    check(
      'budgets_amounts',
      sql`${t.amountMicros} >= 0 and ${t.reservedMicros} >= 0 and ${t.spentMicros} >= 0`,
    ),
    uniqueIndex('budgets_of_account').on(t.userId, t.period).where(sql`${t.apiKeyId} is null`),
    uniqueIndex('budgets_of_key').on(t.apiKeyId, t.period).where(sql`${t.apiKeyId} is not null`),
    index('budgets_user').on(t.userId),
  ],
);
