import type { ProviderId } from '@computefabric/protocol/ids';
import { index, pgTable, text } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';
import { providers } from './providers.ts';

/**
 * Credentials that a machine got for a signature, until they end. The hash is also the signature's nonce: a row
 * outlives the minute in which its signature counts, so that one is taken once.
 */
export const machineCredentials = pgTable(
  'machine_credentials',
  {
    /** SHA-256 of the secret that the machine chose, hex. */
    secretHash: text().primaryKey(),
    providerId: text()
      .$type<ProviderId>()
      .notNull()
      .references(() => providers.id),
    expiresAt: moment().notNull(),
  },
  (t) => [
    index('machine_credentials_provider').on(t.providerId),
    index('machine_credentials_expiry').on(t.expiresAt),
  ],
);
