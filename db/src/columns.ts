import { type SQL, sql } from 'drizzle-orm';
import { type AnyPgColumn, bigint, customType, timestamp } from 'drizzle-orm/pg-core';

/** A moment, in UTC with milliseconds as JavaScript keeps them. */
export const moment = () => timestamp({ withTimezone: true, precision: 3, mode: 'date' });

/** Money in micros. 64 bits hold nine million million currency units. */
export const micros = () => bigint({ mode: 'bigint' });

/** Condition that a text column holds one of the given words; the words come from a table in the protocol. */
export function oneOf(column: AnyPgColumn, words: readonly string[]): SQL {
  return sql`${column} in (${sql.raw(words.map((word) => `'${word.replaceAll("'", "''")}'`).join(', '))})`;
}

/**
 * A JSON value that may be a bare string. Drizzle's own `jsonb` reads strings twice: the driver has parsed
 * `"true"` to the string `true` already, and Drizzle parses that again, to a boolean.
 */
export const jsonValue = <T>() =>
  customType<{ data: T; driverData: unknown }>({
    dataType: () => 'jsonb',
    toDriver: (value) => JSON.stringify(value),
    fromDriver: (value) => value as T, // written by us, through the same type
  })();
