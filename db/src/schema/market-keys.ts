import { sql } from 'drizzle-orm';
import { check, pgTable, text } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';

/** Public keys that this market signs with or has signed with. None is ever removed: old receipts need them. */
export const marketKeys = pgTable(
  'market_keys',
  {
    id: text().primaryKey(),
    /** DER (SPKI) in base64. */
    publicKey: text().notNull(),
    createdAt: moment().notNull().defaultNow(),
    /** The older key that vouches for this one, with its signature. */
    endorsedBy: text(),
    endorsement: text(),
  },
  (t) => [check('market_keys_endorsed', sql`(${t.endorsedBy} is null) = (${t.endorsement} is null)`)],
);
