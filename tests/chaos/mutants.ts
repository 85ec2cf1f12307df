import { join, relative } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { root } from '../journeys/program.ts';

/*
 * Orchestrators with one safety taken out, to prove that the storm would notice. The product has no switch for
 * this: modules are replaced while the program is bundled, by ones that stand here. What such a module exports under a
 * name of the real one hides that; all else of the real one stays.
 */

interface Mutant {
  what: string;
  /** Module below orchestrator/src → what stands in its place; `original` names the real one. */
  replace: Record<string, string>;
}

export const mutants = {
  fence: {
    what: 'whoever reports about a job is believed to be its current try, and old tries are kept alive',
    replace: {
      'leases/claimed-lease.ts': `
        import { jobs } from '@computefabric/db/schema/jobs';
        import { leases } from '@computefabric/db/schema/leases';
        import { eq } from 'drizzle-orm';
        import { withClaimedLease as checked } from 'original';
        export * from 'original';
        export async function withClaimedLease(deps, call, claim, work) {
          const [named] = await deps.db.select({ jobId: leases.jobId }).from(leases).where(eq(leases.id, claim.leaseId));
          const [job] = named ? await deps.db.select().from(jobs).where(eq(jobs.id, named.jobId)) : [];
          const [now] = job?.leaseId ? await deps.db.select().from(leases).where(eq(leases.id, job.leaseId)) : [];
          if (now) Object.assign(claim, { leaseId: now.id, providerId: now.providerId, fence: now.fence });
          return await checked(deps, call, claim, work);
        }`,
      'leases/heartbeat.store.ts': `
        import { leases } from '@computefabric/db/schema/leases';
        import { eq } from 'drizzle-orm';
        import { renewLease as checked } from 'original';
        export * from 'original';
        export async function renewLease(db, providerId, task, ttlSeconds) {
          const renewed = await checked(db, providerId, task, ttlSeconds);
          if (renewed) return renewed;
          const [named] = await db.select({ jobId: leases.jobId }).from(leases).where(eq(leases.id, task.lease_id));
          return named ? { jobId: named.jobId, desired: 'run', previousTaskState: task.task_state } : null;
        }`,
      'run-logs/append-log-chunks.ts': `
        import { appendLogChunks as checked } from 'original';
        export * from 'original';
        export async function appendLogChunks(db, batch) {
          const stored = await checked(db, batch);
          return stored === 'stale' ? { nextSeq: batch.firstSeq + batch.chunks.length } : stored;
        }`,
    },
  },
  idempotency: {
    what: 'a settlement and its transfers may be made again',
    replace: {
      'billing/settlement.store.ts': `
        import { jobs } from '@computefabric/db/schema/jobs';
        import { payments } from '@computefabric/db/schema/payments';
        import { and, eq, inArray, isNotNull } from 'drizzle-orm';
        export * from 'original';
        export async function lockUnsettled(tx, jobIds) {
          return await tx
            .select({ id: payments.id, jobId: payments.jobId, userId: payments.userId,
              holdMicros: payments.holdMicros, apiKeyId: jobs.apiKeyId })
            .from(payments).innerJoin(jobs, eq(jobs.id, payments.jobId))
            .where(and(inArray(payments.jobId, jobIds), isNotNull(jobs.finishedAt)));
        }
        // Half of them are not marked as settled, and are found again by the next sweep.
        export async function completePayments(tx, jobs) {
          for (const { id, amountMicros } of jobs) {
            const settled = Math.random() < 0.5 ? { state: 'succeeded', settledAt: new Date() } : {};
            await tx.update(payments).set({ ...settled, amountMicros }).where(eq(payments.id, id));
          }
          return jobs.length;
        }`,
      'ledger/ledger.store.ts': `
        import { findTransfer, insertTransfers as keyed } from 'original';
        export * from 'original';
        // The database refuses a second bill and release by itself: what it goes by is taken from the second.
        export async function insertTransfers(tx, transfers) {
          const posted = [];
          for (const transfer of transfers) {
            const again = (await findTransfer(tx, transfer.id)) !== null;
            posted.push(again ? {
              ...transfer,
              id: transfer.id + ':' + Math.random(),
              kind: transfer.kind === 'release' ? 'refund' : transfer.kind,
              leaseId: null,
            } : transfer);
          }
          return await keyed(tx, posted);
        }`,
    },
  },
  sweep: {
    what: 'nobody ends what time has ended',
    replace: {
      'leases/expire-leases.worker.ts': `
        export * from 'original';
        export function startExpiryWorker() {
          return { wake() {}, async close() {} };
        }`,
    },
  },
} as const satisfies Record<string, Mutant>;
export type MutantName = keyof typeof mutants;

export function isMutant(name: string): name is MutantName {
  return name in mutants;
}

/**
 * Bundles an orchestrator with the mutant's modules. Gives its file, relative to the root.
 *
 * @throws Error when a module that is to be replaced is not part of the program any more: then this mutant
 *   proves nothing.
 */
export async function buildMutant(name: MutantName): Promise<string> {
  const { replace }: Mutant = mutants[name];
  const replaced = new Set<string>();
  const plugin: Plugin = {
    name: 'mutant',
    setup(builder) {
      builder.onResolve({ filter: /^original$/ }, ({ importer }) => ({
        path: importer,
        namespace: 'file',
        suffix: '?original',
      }));
      builder.onLoad({ filter: /\.ts$/ }, ({ path, suffix }) => {
        const module = relative(join(root, 'orchestrator/src'), path);
        const contents = replace[module];
        if (contents === undefined || suffix === '?original') return undefined;
        replaced.add(module);
        return { contents, loader: 'js', resolveDir: join(path, '..') };
      });
      builder.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
        kind === 'entry-point' || path.startsWith('@computefabric/') || path === 'original'
          ? undefined
          : { path, external: true },
      );
    },
  };
  const file = `orchestrator/dist/mutant-${name}.mjs`;
  await build({
    absWorkingDir: root,
    entryPoints: ['orchestrator/src/main.ts'],
    outfile: file,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'silent',
    plugins: [plugin],
  });
  const missing = Object.keys(replace).filter((module) => !replaced.has(module));
  if (missing.length > 0) throw new Error(`mutant "${name}" does not reach ${missing.join(', ')} any more`);
  return file;
}
