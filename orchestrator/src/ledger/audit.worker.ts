import type { Logger } from '@computefabric/runtime/log';
import type { Leadership } from '../background/leadership.ts';
import { startWorker, type Worker } from '../background/worker.ts';
import type { BookAuditor } from './audit-books.ts';

/** Findings that are written to the log one by one; their number is there in any case. */
const findingsLogged = 20;

/** Re-adds the books on a schedule, in one orchestrator of several, and says loudly what it finds. */
export function startAuditWorker({
  auditor,
  log,
  leadership,
  everySeconds,
}: {
  auditor: BookAuditor;
  log: Logger;
  leadership: Leadership;
  everySeconds: number;
}): Worker {
  return startWorker({
    name: 'audit-ledger',
    log,
    everyMs: everySeconds * 1_000,
    pass: async () => {
      if (!leadership.isLeader()) return undefined;
      const { findings, pending } = await auditor.audit(0);
      for (const finding of findings.slice(0, findingsLogged))
        log.error({ ...finding }, 'the books are wrong');
      if (findings.length > 0) log.error({ findings: findings.length }, 'the ledger audit found differences');
      else log.info({ pending_holds: pending.count }, 'the ledger audit found nothing');
      return undefined;
    },
  });
}
