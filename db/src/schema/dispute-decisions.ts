import { type DisputeBlame, disputeBlames, disputeOutcomes } from '@computefabric/protocol/dispute';
import type { DisputeId, UserId } from '@computefabric/protocol/ids';
import { sql } from 'drizzle-orm';
import { check, integer, pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { micros, moment, oneOf } from '../columns.ts';
import { disputes } from './disputes.ts';

/** What was decided about a dispute, in order; never changed: an operator who decides otherwise adds one. */
export const disputeDecisions = pgTable(
  'dispute_decisions',
  {
    disputeId: text()
      .$type<DisputeId>()
      .notNull()
      .references(() => disputes.id),
    seq: integer().notNull(),
    outcome: text({ enum: disputeOutcomes }).notNull(),
    blame: text({ enum: disputeBlames }).$type<DisputeBlame>().notNull(),
    /** The rule that decided; null when a person did. */
    rule: text(),
    decidedBy: text().$type<UserId>(),
    explanation: text().notNull(),
    /** Given back by this decision. */
    refundMicros: micros().notNull(),
    createdAt: moment().notNull().defaultNow(),
  },
  (t) => [
    primaryKey({ columns: [t.disputeId, t.seq] }),
    check('dispute_decisions_outcome', oneOf(t.outcome, disputeOutcomes)),
    check('dispute_decisions_blame', oneOf(t.blame, disputeBlames)),
    check('dispute_decisions_who', sql`(${t.rule} is null) <> (${t.decidedBy} is null)`),
  ],
);
