import { type SQL, sql } from 'drizzle-orm';
import { type AnyPgColumn, bigint, timestamp } from 'drizzle-orm/pg-core';

/** A moment, in UTC with milliseconds as JavaScript keeps them. */
export const moment = () => timestamp({ withTimezone: true, precision: 3, mode: 'date' });

/** Money in micros. 64 bits hold nine million million currency units. */
export const micros = () => bigint({ mode: 'bigint' });

/** Condition that a text column holds one of the given words; the words come from a table in the protocol. */
export function oneOf(column: AnyPgColumn, words: readonly string[]): SQL {
  return sql`${column} in (${sql.raw(words.map((word) => `'${word.replaceAll("'", "''")}'`).join(', '))})`;
}
