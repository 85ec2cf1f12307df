import type { Tx } from '@computefabric/db/client';
import { providers } from '@computefabric/db/schema/providers';
import type { ProviderId } from '@computefabric/protocol/ids';
import type { OwnerNotice } from '@computefabric/protocol/owner-state';
import { and, eq, sql } from 'drizzle-orm';

/** Whether the owner's rules on the machine let it take work; a machine that does not tell takes it. */
export const ownerAccepts = sql<boolean>`coalesce((${providers.ownerNotice}->>'accepts_work')::boolean, true)`;

/**
 * What the owner's rules say now, from the session that speaks for the machine.
 *
 * @returns whether that is something else than before; what is the same is not written
 */
export async function setOwnerNotice(
  tx: Tx,
  id: ProviderId,
  session: number,
  notice: OwnerNotice,
): Promise<boolean> {
  const rows = await tx
    .update(providers)
    .set({ ownerNotice: notice })
    .where(
      and(
        eq(providers.id, id),
        eq(providers.session, session),
        sql`${providers.ownerNotice} is distinct from ${JSON.stringify(notice)}::jsonb`,
      ),
    )
    .returning({ id: providers.id });
  return rows.length > 0;
}
