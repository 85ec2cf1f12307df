import type { CheckpointId } from '@computefabric/protocol/ids';
import { index, pgTable, text, uniqueIndex } from 'drizzle-orm/pg-core';
import { checkpoints } from './checkpoints.ts';
import { storedObjects } from './stored-objects.ts';

/** Which chunks a complete checkpoint needs: what keeps them from being removed. */
export const checkpointChunks = pgTable(
  'checkpoint_chunks',
  {
    checkpointId: text()
      .$type<CheckpointId>()
      .notNull()
      .references(() => checkpoints.id, { onDelete: 'cascade' }),
    key: text()
      .notNull()
      .references(() => storedObjects.key),
  },
  // A unique index and no composite primary key: drizzle-kit reads the columns of one back in any order.
  (t) => [
    uniqueIndex('checkpoint_chunks_each').on(t.checkpointId, t.key),
    index('checkpoint_chunks_key').on(t.key),
  ],
);
