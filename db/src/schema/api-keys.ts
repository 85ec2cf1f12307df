import type { ApiKeyId, UserId } from '@computefabric/protocol/ids';
import { check, index, pgTable, text } from 'drizzle-orm/pg-core';
import { moment, oneOf } from '../columns.ts';
import { users } from './users.ts';

export const apiKeyKinds = ['user', 'join'] as const;

/** Bearer secrets of a person: API keys, and one-use tokens with which a machine joins. Only hashes are kept. */
export const apiKeys = pgTable(
  'api_keys',
  {
    id: text().$type<ApiKeyId>().primaryKey(),
    userId: text()
      .$type<UserId>()
      .notNull()
      .references(() => users.id),
    kind: text({ enum: apiKeyKinds }).notNull(),
    name: text().notNull(),
    /** SHA-256 of the secret part, hex. */
    secretHash: text().notNull(),
    createdAt: moment().notNull().defaultNow(),
    expiresAt: moment(),
    revokedAt: moment(),
    /** When a join token was spent. */
    usedAt: moment(),
    /** Written at most once a minute, so that reading does not become writing. */
    lastUsedAt: moment(),
  },
  (t) => [check('api_keys_kind', oneOf(t.kind, apiKeyKinds)), index('api_keys_user').on(t.userId, t.id)],
);
