import type { Server } from 'node:http';
import { join } from 'node:path';
import { createDb, type Db } from '@computefabric/db/client';
import { systemClock } from '@computefabric/runtime/clock';
import type { Lifecycle } from '@computefabric/runtime/lifecycle';
import type { Logger } from '@computefabric/runtime/log';
import { bootstrapOperator } from './accounts/bootstrap-operator.ts';
import { startLeadership } from './background/leadership.ts';
import { startSignals } from './background/signals.ts';
import type { Config } from './config.ts';
import { createApp } from './http/app.ts';
import { registerMarketMetrics } from './http/market-metrics.ts';
import { createMetrics } from './http/metrics.ts';
import { authJoin } from './http/middleware/auth-join.ts';
import { authProvider } from './http/middleware/auth-provider.ts';
import { authUser } from './http/middleware/auth-user.ts';
import { closeServer, listenOn } from './http/server.ts';
import { startAuditWorker } from './ledger/audit.worker.ts';
import { BookAuditor } from './ledger/audit-books.ts';
import type { LeaseDeps } from './leases/lease-deps.ts';
import { startSweepWorker } from './housekeeping/sweep.worker.ts';
import { openObjectStore } from './objects/open-object-store.ts';
import { metaRoutes } from './routes/meta/routes.ts';
import { MeterBook } from './metering/meter-book.ts';
import { openMarketKey } from './receipts/open-market-key.ts';
import type { PayoutDeps } from './payouts/payout-deps.ts';
import { payoutEventHandlers } from './payouts/payout-events.ts';
import { startPayouts } from './payouts/start-payouts.ts';
import { providerRoutes } from './routes/provider/routes.ts';
import { userRoutes } from './routes/user/routes.ts';
import { ReaderSlots } from './run-logs/reader-slots.ts';
import { stripeWebhook } from './routes/webhooks/stripe.ts';
import { startWorkers } from './start-workers.ts';
import { createStripeGateway } from './stripe/stripe-live.ts';
import { startCardPayments } from './topups/start-card-payments.ts';
import type { TopUpDeps } from './topups/top-up-deps.ts';
import { topUpEventHandlers } from './topups/top-up-events.ts';

/** Connections of the pool: enough for the workers and many short requests, few enough for any server. */
const poolSize = 20;

/**
 * Builds every object of the program once, in order, and starts it on a database whose schema is the newest.
 * What is started is added to `lifecycle`, which closes it in the reverse order: first the door, then the
 * workers, the database last.
 *
 * @throws PortTakenError, or whatever kept a part from starting; close the lifecycle then too.
 */
export async function compose(
  config: Config,
  databaseUrl: string,
  lifecycle: Lifecycle,
  log: Logger,
): Promise<{ db: Db; server: Server }> {
  const { db, close } = createDb(databaseUrl, {
    poolSize,
    applicationName: 'computefabric-orchestrator',
    onConnectionError: (error) => log.warn({ err: error }, 'lost an idle database connection'),
  });
  lifecycle.add('database', close);
  const signals = await startSignals(databaseUrl, log);
  lifecycle.add('signals', () => signals.close());
  const leadership = await startLeadership(databaseUrl, log);
  lifecycle.add('leadership', () => leadership.close());
  const objects = await openObjectStore(config.objects.s3, join(config.home, 'blobs'));
  const signer = await openMarketKey(db, config.home, config.receiptSigningKey);
  const meter = new MeterBook({ db, log, signer });

  const { playMoney, playMoneyGrantMicros, defaultMaxPricePerHourMicros } = config.money;
  if (config.operatorToken) {
    const playMoneyMicros = playMoney ? playMoneyGrantMicros : null;
    await bootstrapOperator(db, { token: config.operatorToken, playMoneyMicros });
  }

  const metrics = createMetrics();
  const auditor = new BookAuditor(db);
  registerMarketMetrics(metrics, db, auditor);
  const countStaleCall = metrics.counter(
    'computefabric_stale_calls_total',
    'Calls of agents about a lease or session that is no longer theirs.',
    ['call'],
  );
  const leaseDeps: LeaseDeps = {
    db,
    log,
    settings: config.leases,
    onStaleCall: (call) => countStaleCall({ call }),
  };

  const workers = await startWorkers({
    ...leaseDeps,
    signals,
    leadership,
    defaultMaxPricePerHourMicros,
  });
  for (const [name, worker] of Object.entries(workers)) lifecycle.add(name, () => worker.close());

  const stripe = config.stripe && createStripeGateway({ ...config.stripe, now: () => systemClock.now() });
  const dashboardUrl = config.dashboardUrl ?? 'http://127.0.0.1:3000';
  const topUps: TopUpDeps | null = config.stripe &&
    stripe && {
      db,
      log,
      stripe,
      settings: {
        mode: config.stripe.mode,
        creditLimitMicros: config.stripe.creditLimitMicros,
        returnUrl: `${dashboardUrl}/billing`,
      },
    };
  const payouts: PayoutDeps = {
    db,
    log,
    stripe,
    settings: { ...config.payouts, returnUrl: `${dashboardUrl}/earnings` },
    playMoney,
  };
  startPayouts({ ...payouts, signals, leadership }, { metrics, lifecycle });
  if (topUps) {
    const handlers = {
      ...topUpEventHandlers(topUps),
      ...payoutEventHandlers({ ...payouts, stripe: topUps.stripe }),
    };
    startCardPayments({ ...topUps, signals, leadership }, { handlers, metrics, lifecycle });
  }

  const sweep = startSweepWorker({ db, objects, log, settings: config.objects });
  lifecycle.add('sweep worker', () => sweep.close());

  const audit = startAuditWorker({ auditor, log, leadership, everySeconds: config.auditEverySeconds });
  lifecycle.add('audit worker', () => audit.close());

  const readiness = { migrated: true, listening: false };
  const meta = metaRoutes({ db, metrics, readiness });
  if (stripe) meta.use(stripeWebhook({ db, stripe }));
  const app = createApp({
    log,
    metrics,
    context: {
      authenticators: {
        user: authUser(db),
        provider: authProvider(db),
        join: authJoin(db),
        public: async () => undefined,
      },
      checkReplies: config.checkReplies,
    },
    meta,
    routes: [
      ...userRoutes({
        db,
        log,
        signals,
        objects,
        settings: config.leases,
        view: { playMoney, dashboardUrl: config.dashboardUrl },
        readerSlots: new ReaderSlots(),
        topUps,
        payouts,
        auditor,
        receipts: { db, signer, meter, playMoney },
        disputeWindowDays: config.disputeWindowDays,
        secretsKey: config.secretsKey,
        defaultMaxPricePerHourMicros,
      }),
      ...providerRoutes({ ...leaseDeps, signals, objects, meter, secretsKey: config.secretsKey }),
    ],
  });
  const server = await listenOn(app, config.http.host, config.http.port);
  lifecycle.add('http server', () => closeServer(server));
  readiness.listening = true;
  return { db, server };
}
