import type { Lifecycle } from '@computefabric/runtime/lifecycle';
import type { Leadership } from '../background/leadership.ts';
import type { Signals } from '../background/signals.ts';
import type { Metrics } from '../http/metrics.ts';
import { startEventWorker, type StripeEventHandlers } from '../stripe/dispatch-events.worker.ts';
import { countEvents } from '../stripe/event.store.ts';
import { startCardPaymentsWorker } from './card-payments.worker.ts';
import { startReconcileWorker } from './reconcile.worker.ts';
import type { TopUpDeps } from './top-up-deps.ts';

/**
 * Starts everything that a market with a payment provider does by itself.
 *
 * @param handlers what Stripe's events call for, of all areas together
 */
export function startCardPayments(
  deps: TopUpDeps & { signals: Signals; leadership: Leadership },
  { handlers, metrics, lifecycle }: { handlers: StripeEventHandlers; metrics: Metrics; lifecycle: Lifecycle },
): void {
  const events = startEventWorker({ ...deps, handlers });
  lifecycle.add('stripe event worker', () => events.close());
  const payments = startCardPaymentsWorker(deps);
  lifecycle.add('card payments worker', () => payments.close());
  const reconciler = startReconcileWorker(deps);
  lifecycle.add('reconcile worker', () => reconciler.close());
  metrics.gauge('computefabric_stripe_events', "Stripe's events by state; parked must be 0.", 'state', () =>
    countEvents(deps.db),
  );
  metrics.gauge(
    'computefabric_stripe_differences',
    'Entries that do not fit between the ledger and Stripe, and the difference of the sums in micros; both must be 0.',
    'what',
    async () => {
      const latest = reconciler.latest();
      return latest
        ? { entries: latest.unexplained.length, sum_micros: Number(latest.differenceMicros) }
        : {};
    },
  );
}
