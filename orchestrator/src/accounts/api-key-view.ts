import { bearerPrefixes } from '@computefabric/protocol/api-key';
import type { apiKeyView } from '@computefabric/protocol/user-api/account';
import type { z } from 'zod';
import type { ApiKeyRow } from './api-key.store.ts';

/** Enough of the id part to tell keys apart that were not made in the same millisecond. */
const shownIdChars = 10;

export function toApiKeyView(key: ApiKeyRow): z.output<typeof apiKeyView> {
  return {
    id: key.id,
    name: key.name,
    prefix: `${bearerPrefixes.user}_${key.id.slice('key_'.length).slice(0, shownIdChars)}`,
    created_at: key.createdAt.toISOString(),
    expires_at: key.expiresAt?.toISOString() ?? null,
    revoked_at: key.revokedAt?.toISOString() ?? null,
    last_used_at: key.lastUsedAt?.toISOString() ?? null,
  };
}
