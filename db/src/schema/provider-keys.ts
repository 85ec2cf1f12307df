import type { ProviderId } from '@computefabric/protocol/ids';
import { pgTable, primaryKey, text } from 'drizzle-orm/pg-core';
import { moment } from '../columns.ts';
import { providers } from './providers.ts';

/** Public keys that a machine signs its metering with, or has signed with: a new one does not replace the old. */
export const providerKeys = pgTable(
  'provider_keys',
  {
    providerId: text()
      .$type<ProviderId>()
      .notNull()
      .references(() => providers.id),
    signingKeyId: text().notNull(),
    /** DER (SPKI) in base64. */
    publicKey: text().notNull(),
    firstSeenAt: moment().notNull().defaultNow(),
  },
  (t) => [primaryKey({ columns: [t.providerId, t.signingKeyId] })],
);
