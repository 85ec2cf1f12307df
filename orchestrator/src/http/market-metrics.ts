import type { Db } from '@computefabric/db/client';
import { auditRules } from '../ledger/audit.store.ts';
import type { BookAuditor } from '../ledger/audit-books.ts';
import { countJobs, countLeases, countProviders, countUnsettled } from './market-counts.store.ts';
import type { Metrics } from './metrics.ts';

/** The books are added up again at most this often, however often the metrics are asked for, ms. */
const auditMs = 60_000;

/** Registers what the market looks like now, read from the tables when the metrics are asked for. */
export function registerMarketMetrics(metrics: Metrics, db: Db, auditor: BookAuditor): void {
  const jobsHelp = 'Jobs by state; queued is the depth of the queue.';
  metrics.gauge('computefabric_jobs', jobsHelp, 'state', () => countJobs(db));
  metrics.gauge('computefabric_leases', 'Leases by state.', 'state', () => countLeases(db));
  metrics.gauge('computefabric_providers', 'Machines by state.', 'state', () => countProviders(db));
  const unsettledHelp = 'Ended jobs whose bill is not settled yet.';
  metrics.gauge('computefabric_payments_unsettled', unsettledHelp, 'age', () => countUnsettled(db));
  metrics.gauge(
    'computefabric_ledger_differences',
    'Differences in the books; must be 0.',
    'rule',
    async () => {
      const { findings } = await auditor.audit(auditMs);
      const count = (rule: string) => findings.filter((finding) => finding.rule === rule).length;
      return { all: findings.length, ...Object.fromEntries(auditRules.map((rule) => [rule, count(rule)])) };
    },
  );
}
