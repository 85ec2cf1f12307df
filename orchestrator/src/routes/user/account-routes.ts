import { paymentId } from '@computefabric/protocol/ids';
import * as api from '@computefabric/protocol/user-api/account';
import { AppError } from '@computefabric/runtime/errors';
import { invariant } from '@computefabric/runtime/invariant';
import { findKey, listKeys, revokeKey } from '../../accounts/api-key.store.ts';
import { toApiKeyView } from '../../accounts/api-key-view.ts';
import { createApiKey } from '../../accounts/create-key.ts';
import { listPaymentsOf, viewPayment } from '../../accounts/payment.store.ts';
import { readBalance } from '../../accounts/read-balance.ts';
import { findUser } from '../../accounts/user.store.ts';
import { callerSecret } from '../../http/bearer.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { withIdempotency } from '../../http/idempotency.ts';
import { cursorAs, pageFrom } from '../../http/page.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** Keys shown at once; who has more revokes some. */
const keysShown = 500;

export function accountRoutes({ db, view }: UserRouteDeps): BoundRoute[] {
  return [
    route(api.whoAmI, async ({ caller }) => {
      const user = await findUser(db, caller.userId);
      const key = await findKey(db, caller.keyId, 'user');
      invariant(key, `the key ${caller.keyId} of this request exists`);
      return {
        user: { id: user.id, name: user.displayName ?? user.email, email: user.email, role: user.role },
        key: {
          id: key.id,
          name: key.name,
          created_at: key.createdAt.toISOString(),
          expires_at: key.expiresAt?.toISOString() ?? null,
        },
        balance: await readBalance(db, user.id, view.playMoney),
      };
    }),

    route(api.getBalance, async ({ caller }) => readBalance(db, caller.userId, view.playMoney)),

    route(api.listPayments, async ({ caller, query }) => {
      const rows = await listPaymentsOf(db, caller.userId, {
        limit: query.limit + 1,
        before: cursorAs(paymentId, query.cursor),
        state: query.state,
      });
      return pageFrom(rows, query.limit, (row) => row.id, viewPayment);
    }),

    route(api.createApiKey, async ({ caller: { userId }, body, idempotencyKey, request }) =>
      withIdempotency(
        db,
        {
          userId,
          key: idempotencyKey,
          contract: api.createApiKey,
          request: body,
          sealWith: callerSecret(request),
        },
        (tx) => createApiKey(tx, userId, { name: body.name, expiresInSeconds: body.expires_in_seconds }),
      ),
    ),

    route(api.listApiKeys, async ({ caller }) => ({
      items: (await listKeys(db, caller.userId, keysShown)).map(toApiKeyView),
    })),

    route(api.revokeApiKey, async ({ caller, params }) => {
      if (!(await revokeKey(db, caller.userId, params.key))) {
        throw new AppError('request/not-found', { message: 'There is no such key in your account.' });
      }
    }),
  ];
}
