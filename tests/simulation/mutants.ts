// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these texts are source code.

/** A text of one source file and what stands there instead. */
interface Edit {
  file: string;
  find: string;
  put: string;
}

/**
 * Faults that are put into a copy of the product's code when the simulation is bundled with `--mutant NAME`. A
 * test holds that the seeds find each of them: a simulation that finds nothing proves nothing. An edit whose
 * text is not there any more stops the build, so that a mutant cannot silently become the product.
 */
export const mutants: Record<string, readonly Edit[]> = {
  'fence-not-checked': [
    {
      file: 'orchestrator/src/leases/claimed-lease.ts',
      find: ' || lease.fence !== claim.fence',
      put: '',
    },
  ],
  'lease-never-expires': [
    {
      file: 'orchestrator/src/leases/lease-expiry.store.ts',
      find: 'const isDue = and(inArray(leases.state, openLeaseStates)',
      put: "const isDue = and(inArray(leases.state, ['offered', 'silent', 'releasing'])",
    },
  ],
  'settled-twice': [
    {
      file: 'orchestrator/src/billing/settlement.store.ts',
      find: "  eq(payments.state, 'pending'),\n  isNull(payments.settledAt),\n",
      put: '',
    },
    {
      file: 'orchestrator/src/billing/settlement.store.ts',
      find: "where p.id = done.id and p.state = 'pending' and p.settled_at is null",
      put: 'where p.id = done.id',
    },
    // The database refuses a second settlement by itself; what it goes by is taken from it.
    {
      file: 'orchestrator/src/billing/settlement.store.ts',
      find: ',\n      settled_at = now()',
      put: '',
    },
    {
      file: 'orchestrator/src/ledger/settle-hold.ts',
      find: 'const cause = { from, jobId, leaseId };',
      put: 'const cause = { from, jobId };',
    },
    {
      file: 'orchestrator/src/ledger/settle-hold.ts',
      find: "id: `release:${jobId}`, kind: 'release'",
      put: "id: `release:${jobId}:${Math.random()}`, kind: 'refund'",
    },
    {
      file: 'orchestrator/src/ledger/settle-hold.ts',
      find: 'const ids = `${jobId}:${leaseId}`',
      put: 'const ids = `${jobId}:${leaseId}:${Math.random()}`',
    },
  ],
  'gang-in-part': [
    {
      file: 'orchestrator/src/leases/grant-leases.ts',
      find: 'if (ranksWritten > 0 && ranksWritten < ranks.length) throw new TornSet(set);',
      put: '',
    },
    {
      file: 'orchestrator/src/leases/grant-leases.ts',
      find: 'if (whole.length < set.length || !rooms.take(whole)) continue;',
      put: 'if (!rooms.take(whole.slice(0, 1))) continue; whole.splice(1);',
    },
  ],
  'started-too-early': [
    {
      file: 'orchestrator/src/jobs/dependency-fate.ts',
      find: "return target.unfinished > 0 ? 'open' : 'met';",
      put: "return 'met';",
    },
  ],
  'state-forgotten': [
    {
      file: 'orchestrator/src/leases/grant.store.ts',
      find: "class = 'spot', checkpoint_id,",
      put: "class = 'spot', null,",
    },
  ],
  'closed-machine-gets-work': [
    {
      file: 'orchestrator/src/leases/grant.store.ts',
      find: "eq(providers.availability, 'open'),",
      put: '',
    },
    {
      file: 'orchestrator/src/matching/filters.ts',
      find: "fails: (machine) => machine.availability !== 'open',",
      put: 'fails: () => false,',
    },
    {
      file: 'orchestrator/src/matching/fleet.ts',
      find: "      view.availability !== 'open' ||\n",
      put: '',
    },
  ],
  'retries-without-end': [
    {
      file: 'orchestrator/src/leases/decide-next.ts',
      find: 'if (terms.userFailures >= terms.maxRetries) return false;',
      put: 'if (terms.userFailures > terms.maxRetries) return false;',
    },
  ],
  'gpu-promised-twice': [
    {
      file: 'orchestrator/src/leases/grant-leases.ts',
      find: '.gpuMilli <= 1_000',
      put: '.gpuMilli <= 9_000',
    },
    {
      file: 'orchestrator/src/matching/market.store.ts',
      find: 'inArray(leases.state, holdingLeaseStates)',
      put: "inArray(leases.state, ['offered'])",
    },
  ],
};
