import type { BudgetId, UserId } from '@computefabric/protocol/ids';
import { bigserial, index, integer, pgTable, text } from 'drizzle-orm/pg-core';
import { micros, moment } from '../columns.ts';
import { budgets } from './budgets.ts';
import { users } from './users.ts';

/** What a renter is told about a budget: warnings, its end, and what was done about it. */
export const budgetEvents = pgTable(
  'budget_events',
  {
    id: bigserial({ mode: 'number' }).primaryKey(),
    budgetId: text()
      .$type<BudgetId>()
      .notNull()
      .references(() => budgets.id, { onDelete: 'cascade' }),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    type: text({ enum: ['warning', 'exhausted', 'freed'] }).notNull(),
    percent: integer().notNull(),
    usedMicros: micros().notNull(),
    amountMicros: micros().notNull(),
    message: text().notNull(),
    at: moment().notNull().defaultNow(),
  },
  (t) => [
    index('budget_events_user').on(t.userId, t.id.desc()),
    index('budget_events_budget').on(t.budgetId, t.id.desc()),
  ],
);
