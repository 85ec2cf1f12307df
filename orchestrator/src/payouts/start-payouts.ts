import type { Lifecycle } from '@computefabric/runtime/lifecycle';
import type { Leadership } from '../background/leadership.ts';
import type { Signals } from '../background/signals.ts';
import type { Metrics } from '../http/metrics.ts';
import { startPayOwnersWorker } from './pay-owners.worker.ts';
import type { PayoutDeps } from './payout-deps.ts';
import { countPayouts } from './payout.store.ts';

/** Starts what pays owners: with a payment provider by transfers, without one what their hold windows release. */
export function startPayouts(
  deps: PayoutDeps & { signals: Signals; leadership: Leadership },
  { metrics, lifecycle }: { metrics: Metrics; lifecycle: Lifecycle },
): void {
  const worker = startPayOwnersWorker(deps);
  lifecycle.add('pay owners worker', () => worker.close());
  metrics.gauge('computefabric_payouts', 'Payouts to owners by state.', 'state', () => countPayouts(deps.db));
}
