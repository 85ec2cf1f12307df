import { endReasonRow } from '@computefabric/protocol/end-reason';
import { heldJobStates, jobMachine } from '@computefabric/protocol/job-state';
import { holdingLeaseStates, leaseMachine } from '@computefabric/protocol/lease-state';
import type { JobFacts, LeaseFacts, Snapshot } from './snapshot.ts';

/** Something that must never be so, and is. */
export interface Violation {
  rule: string;
  detail: string;
}

export interface Terms {
  nowMs: number;
  leaseTtlSeconds: number;
  offerSeconds: number;
}

type Rule = (next: Snapshot, before: Snapshot | null, terms: Terms) => Iterable<string>;

/** What should have been done and was not for this long is forgotten, ms: no fault of a run lasts as long. */
const forgottenMs = 300_000;
/** No back-off is longer than this, ms. */
const longestBackoffMs = 3_600_000;

/**
 * What must be true after every committed change, by name. Each rule yields a sentence per breach. A rule sees
 * the facts before the change too, for what may only move one way.
 */
export const rules: Record<string, Rule> = {
  'at most one accepted result per job': function* ({ jobs, leases, ends }) {
    for (const job of jobs) {
      const results = leases.filter((lease) => lease.job === job.id && isResult(lease));
      if (results.length > 1) yield `${job.id} has results of ${list(results)}`;
      const ended = ends[job.id] ?? 0;
      if (ended !== (jobMachine.isTerminal(job.state) ? 1 : 0))
        yield `${job.id} (${job.state}) ended ${ended} times`;
    }
  },

  'a job is submitted once per key': function* ({ jobs }) {
    const seen = new Map<string, string>();
    for (const { id, key } of jobs) {
      if (key === null) continue;
      const other = seen.get(key);
      if (other !== undefined) yield `${other} and ${id} have the key ${key}`;
      seen.set(key, id);
    }
  },

  'one open try per job': function* ({ jobs, leases }) {
    for (const job of jobs) {
      const open = leases.filter(
        ({ job: id, state }) => id === job.id && (state === 'offered' || state === 'active'),
      );
      if (open.length > 1) yield `${job.id} has ${list(open)}`;
    }
  },

  'no machine is promised more than it has': function* ({ machines, cards, leases }) {
    for (const card of cards) {
      const on = leases.filter((lease) => holds(lease) && lease.gpus.includes(card.id));
      const milli = on.reduce((sum, lease) => sum + lease.gpuMilli, 0);
      if (milli > 1_000) yield `${card.id} is promised ${milli} thousandths by ${list(on)}`;
    }
    for (const machine of machines) {
      const on = leases.filter((lease) => holds(lease) && lease.provider === machine.id);
      const cpu = on.reduce((sum, lease) => sum + lease.cpuMilli, 0);
      const memory = on.reduce((sum, lease) => sum + lease.memoryMib, 0);
      if (cpu > machine.cpuMilli) yield `${machine.id} has ${machine.cpuMilli} milli-cores, promised ${cpu}`;
      if (memory > machine.memoryMib) yield `${machine.id} has ${machine.memoryMib} MiB, promised ${memory}`;
      for (const lease of on) {
        const strange = lease.gpus.filter(
          (id) => !cards.some((card) => card.id === id && card.provider === machine.id),
        );
        if (strange.length > 0) yield `${lease.id} names ${strange.join(', ')}, not a card of ${machine.id}`;
      }
    }
  },

  'every hold ends with its job, once': function* ({ jobs, payments, moved }) {
    const sum = (job: string, kind: string) => moved.find((one) => one.job === job && one.kind === kind);
    for (const job of jobs) {
      const payment = payments.find((one) => one.job === job.id);
      if (!payment) {
        yield `${job.id} has no payment`;
        continue;
      }
      const held = sum(job.id, 'hold')?.micros ?? 0;
      if (held !== payment.hold) yield `${job.id} reserved ${held} micros, its payment says ${payment.hold}`;
      const paid = (sum(job.id, 'earn')?.micros ?? 0) + (sum(job.id, 'fee')?.micros ?? 0);
      const back = sum(job.id, 'release')?.micros ?? 0;
      if (payment.state === 'pending') {
        if (paid + back > 0) yield `${job.id} moved ${paid + back} micros before it was settled`;
        continue;
      }
      if (!jobMachine.isTerminal(job.state)) yield `${job.id} is ${job.state} and settled`;
      if (paid + back !== held) yield `${job.id} held ${held} micros, paid ${paid} and gave back ${back}`;
      if ((sum(job.id, 'release')?.count ?? 0) > 1) yield `${job.id} gave its hold back twice`;
    }
  },

  'a bill is never above the hold': function* ({ jobs, leases, payments }) {
    for (const job of jobs) {
      const cost = sumOf(leases.filter((lease) => lease.job === job.id));
      if (cost > job.hold) yield `${job.id} costs ${cost} of a hold of ${job.hold} micros`;
      const payment = payments.find((one) => one.job === job.id);
      if (payment && payment.state !== 'pending' && payment.amount !== cost)
        yield `${job.id} cost ${cost} micros and was settled for ${payment.amount}`;
    }
    for (const lease of leases) {
      if (lease.cost > 0 && !(lease.reason && endReasonRow(lease.reason).billable) && !partlyBilled(lease))
        yield `${lease.id} ended by ${lease.reason ?? 'nothing'} and costs ${lease.cost}`;
      if (lease.startedAt === null && lease.cost > 0)
        yield `${lease.id} never started and costs ${lease.cost}`;
    }
  },

  'a bill is never for more than ran': function* ({ leases, checkpoints }) {
    for (const lease of leases) {
      if (lease.billedMs === 0) continue;
      const ranMs = Math.max(0, (lease.exitedAt ?? lease.endedAt ?? 0) - (lease.startedAt ?? 0));
      if (lease.billedMs > ranMs + 1) yield `${lease.id} ran ${ranMs} ms and is billed ${lease.billedMs}`;
      if (!lease.reason || endReasonRow(lease.reason).billable) continue;
      const saved = checkpoints.filter((one) => one.lease === lease.id && one.state !== 'arriving');
      const savedMs = Math.max(0, ...saved.map(({ takenAt }) => takenAt - (lease.startedAt ?? takenAt)));
      // Older ones are dropped; a state that is still there says at most how far.
      if (saved.length > 0 && lease.billedMs > savedMs + 1)
        yield `${lease.id} saved ${savedMs} ms and is billed ${lease.billedMs}`;
    }
  },

  'a gang starts whole or not at all': function* ({ jobs, leases, groups }, before) {
    for (const group of groups) {
      if (group.kind !== 'gang') continue;
      const ranks = jobs.filter((job) => job.group === group.id);
      if (ranks.length !== group.size) yield `${group.id} has ${ranks.length} of ${group.size} ranks`;
      const fresh = leases.filter(
        (lease) => isNew(lease, before) && ranks.some((rank) => rank.id === lease.job),
      );
      if (fresh.length > 0 && new Set(fresh.map(({ job }) => job)).size < group.size)
        yield `${group.id} of ${group.size} ranks was given ${list(fresh)}`;
    }
  },

  'what comes after waits for what it comes after': function* ({ jobs, leases, groups, dependencies }) {
    const endsOf = (id: string) => jobs.filter((job) => job.id === id || job.group === id);
    for (const { who, on, condition, met } of dependencies) {
      const targets = endsOf(on);
      const open = targets.filter(({ state }) => !jobMachine.isTerminal(state)).length;
      const failed = targets.filter(
        ({ state }) => jobMachine.isTerminal(state) && state !== 'succeeded',
      ).length;
      const holdsTrue =
        condition === 'success' ? open + failed === 0 : open === 0 && (condition === 'any' || failed > 0);
      if (met && !holdsTrue) yield `${who} may start after ${on} (${condition}), of which ${open} are open`;
      if (met) continue;
      for (const job of endsOf(who)) {
        if (leases.some((lease) => lease.job === job.id)) yield `${job.id} was tried before ${on} had ended`;
      }
    }
    for (const job of jobs) {
      if (job.state !== 'blocked') continue;
      const waits = dependencies.some(({ who, met }) => !met && (who === job.id || who === job.group));
      const group = groups.find(({ id }) => id === job.group);
      if (!waits && (group?.maxParallel ?? null) === null) yield `${job.id} is blocked by nothing`;
    }
    for (const { id, maxParallel } of groups) {
      const out = jobs.filter(
        (job) => job.group === id && job.state !== 'blocked' && !jobMachine.isTerminal(job.state),
      );
      if (maxParallel !== null && out.length > maxParallel)
        yield `${id} has ${out.length} members under way, ${maxParallel} at most`;
    }
  },

  'a try begins with the last saved state': function* ({ jobs, leases, checkpoints }, before) {
    for (const lease of leases) {
      if (!isNew(lease, before)) continue;
      const job = jobs.find(({ id }) => id === lease.job);
      if (lease.resumedFrom !== (job?.checkpoint ?? null))
        yield `${lease.id} begins with ${lease.resumedFrom ?? 'nothing'}, saved is ${job?.checkpoint ?? 'nothing'}`;
    }
    for (const job of jobs) {
      const was = before?.jobs.find(({ id }) => id === job.id);
      const saved = checkpoints.find(({ id }) => id === job.checkpoint);
      if (job.checkpoint !== null && (saved?.job !== job.id || saved.state !== 'complete'))
        yield `${job.id} goes on from ${job.checkpoint}, which is ${saved?.state ?? 'not there'}`;
      if (was?.checkpoint && job.checkpoint === null) yield `${job.id} has lost its state`;
    }
  },

  'nothing is given to a machine that its owner has closed': function* ({ leases, machines }, before) {
    for (const lease of leases) {
      if (!isNew(lease, before)) continue;
      const machine = machines.find(({ id }) => id === lease.provider);
      if (machine && machine.availability !== 'open')
        yield `${lease.id} was offered to ${machine.id}, which is ${machine.availability}`;
    }
  },

  'a program is tried as often as its renter allows': function* ({ jobs, leases }) {
    for (const job of jobs) {
      const failures = leases
        .filter(({ job: id, reason }) => id === job.id && reason !== null && endReasonRow(reason).retryable)
        .toSorted((a, b) => a.attempt - b.attempt);
      if (failures.length > job.maxRetries + 1)
        yield `${job.id} failed ${failures.length} times, ${job.maxRetries} retries are allowed`;
      for (const { exitCode, id, attempt } of failures) {
        if (!leases.some((later) => later.job === job.id && later.attempt > attempt)) continue;
        const allowed = job.retryOn === null || (exitCode !== null && job.retryOn.includes(exitCode));
        if (!allowed || (exitCode !== null && job.neverRetryOn.includes(exitCode)))
          yield `${job.id} was tried again after ${id} had ended with ${exitCode ?? 'no code'}`;
      }
    }
  },

  'the books balance': function* ({ balances, payments }) {
    const total = Object.values(balances).reduce((sum, micros) => sum + micros, 0);
    if (total !== 0) yield `all accounts together hold ${total} micros`;
    const held = balances.renter_held ?? 0;
    const pending = payments
      .filter(({ state }) => state === 'pending')
      .reduce((sum, { hold }) => sum + hold, 0);
    if (held !== pending) yield `${held} micros are reserved, unsettled jobs hold ${pending}`;
    for (const [kind, micros] of Object.entries(balances))
      if (kind !== 'promotions' && micros < 0) yield `${kind} is at ${micros}`;
  },

  'states move along their edges': function* (next, before) {
    if (!before) return;
    for (const job of next.jobs) {
      const was = before.jobs.find(({ id }) => id === job.id);
      if (!was) {
        if (job.state !== 'queued' && job.state !== 'blocked') yield `${job.id} began as ${job.state}`;
        continue;
      }
      if (
        was.state !== job.state &&
        !jobMachine.sourcesOf(job.state).includes(was.state) &&
        !wasTakenBack(job, next, before)
      )
        yield `${job.id} went from ${was.state} to ${job.state}`;
      if (
        jobMachine.isTerminal(was.state) &&
        (was.reason !== job.reason || was.finishedAt !== job.finishedAt)
      )
        yield `${job.id} had ended by ${was.reason ?? '?'} and now says ${job.reason ?? '?'}`;
      if (job.attempts < was.attempts) yield `${job.id} had ${was.attempts} tries and now ${job.attempts}`;
    }
    for (const lease of next.leases) {
      const was = before.leases.find(({ id }) => id === lease.id);
      if (!was) {
        if (lease.state !== 'offered') yield `${lease.id} began as ${lease.state}`;
        continue;
      }
      if (was.state !== lease.state && !leaseMachine.sourcesOf(lease.state).includes(was.state))
        yield `${lease.id} went from ${was.state} to ${lease.state}`;
      if (
        was.reason !== null &&
        (was.reason !== lease.reason || was.cost !== lease.cost || was.endedAt !== lease.endedAt)
      )
        yield `${lease.id} had ended by ${was.reason} for ${was.cost} and now says ${lease.reason ?? '?'}, ${lease.cost}`;
      if (was.startedAt !== null && was.startedAt !== lease.startedAt) yield `${lease.id} started twice`;
      if (was.fence !== lease.fence) yield `${lease.id} changed its fence`;
    }
    for (const was of before.jobs)
      if (!next.jobs.some(({ id }) => id === was.id)) yield `${was.id} has vanished`;
    for (const was of before.leases)
      if (!next.leases.some(({ id }) => id === was.id)) yield `${was.id} has vanished`;
  },

  'fences and attempts grow': function* ({ jobs, leases }) {
    for (const job of jobs) {
      const own = leases.filter((lease) => lease.job === job.id).toSorted((a, b) => a.fence - b.fence);
      for (const [index, lease] of own.entries()) {
        const earlier = own[index - 1];
        if (earlier && lease.attempt <= earlier.attempt)
          yield `${lease.id} has a later fence and an earlier attempt`;
      }
      const last = own.at(-1);
      if ((last?.attempt ?? 0) > job.attempts)
        yield `${job.id} counts ${job.attempts} tries, ${last?.id} is later`;
    }
  },

  'nothing is forgotten': function* ({ jobs, leases, payments, groups, dependencies }, _before, { nowMs }) {
    const long = (sinceMs: number | null) => sinceMs !== null && sinceMs + forgottenMs < nowMs;
    const over = (id: string) => jobs.filter((job) => job.id === id || job.group === id).every(ended);
    const ended = ({ finishedAt }: JobFacts) => long(finishedAt);
    for (const lease of leases)
      if (!leaseMachine.isTerminal(lease.state) && long(lease.expiresAt))
        yield `${lease.id} is ${lease.state} and ran out at ${lease.expiresAt}`;
    for (const job of jobs) {
      const waitsMs = job.queueTimeoutSeconds === null ? null : job.queueTimeoutSeconds * 1_000;
      if (job.state === 'queued' && waitsMs !== null && long(job.queuedAt + waitsMs))
        yield `${job.id} waits since ${job.queuedAt}, and was to for ${waitsMs} ms`;
      if (jobMachine.isTerminal(job.state) && long(job.finishedAt)) {
        const payment = payments.find((one) => one.job === job.id);
        if (payment?.state === 'pending') yield `${job.id} ended at ${job.finishedAt} and is not settled`;
      }
      if (job.state !== 'blocked') continue;
      const parents = dependencies.filter(({ who, met }) => !met && (who === job.id || who === job.group));
      const group = groups.find(({ id }) => id === job.group);
      const peers = jobs.filter((peer) => peer.group === group?.id && peer.state !== 'blocked');
      const isFull = (group?.maxParallel ?? null) !== null && !peers.every(ended);
      if (!isFull && parents.every(({ on }) => over(on)) && (parents.length > 0 || peers.length > 0))
        yield `${job.id} is blocked, and what it waits for has ended`;
    }
  },

  'nothing waits without a timer': function* ({ jobs, leases, payments }, _before, terms) {
    for (const job of jobs) yield* waitsForNothing(job, leases, terms);
    for (const lease of leases) {
      if (leaseMachine.isTerminal(lease.state)) continue;
      const job = jobs.find(({ id }) => id === lease.job);
      const longest =
        Math.max(terms.leaseTtlSeconds, terms.offerSeconds, job?.lostAfterSeconds ?? 0, silenceLimit(lease)) *
        1_000;
      if (lease.expiresAt === null || lease.expiresAt > terms.nowMs + longest + 1)
        yield `${lease.id} (${lease.state}) ends by itself only at ${lease.expiresAt ?? 'no time'}`;
      if (lease.state !== 'releasing' && job && jobMachine.isTerminal(job.state))
        yield `${lease.id} is ${lease.state} and its job ended`;
    }
    for (const payment of payments) {
      if (payment.state !== 'pending' && payment.state !== 'succeeded')
        yield `the payment of ${payment.job} is ${payment.state}`;
    }
  },
};

export function findViolations(next: Snapshot, before: Snapshot | null, terms: Terms): Violation[] {
  return Object.entries(rules).flatMap(([rule, check]) =>
    [...check(next, before, terms)].map((detail) => ({ rule, detail })),
  );
}

/** What must be true when everything has come to rest, beside the rules above. */
export function* findUnfinished({ jobs, leases, payments, balances }: Snapshot): Generator<string> {
  for (const job of jobs) if (!jobMachine.isTerminal(job.state)) yield `${job.id} is still ${job.state}`;
  for (const lease of leases)
    if (!leaseMachine.isTerminal(lease.state)) yield `${lease.id} is still ${lease.state}`;
  for (const payment of payments) if (payment.state === 'pending') yield `${payment.job} is not settled`;
  if ((balances.renter_held ?? 0) !== 0) yield `${balances.renter_held ?? 0} micros stay reserved`;
}

function* waitsForNothing(job: JobFacts, leases: readonly LeaseFacts[], terms: Terms): Generator<string> {
  const lease = leases.find(({ id }) => id === job.lease);
  switch (job.state) {
    case 'blocked':
      return; // a rule of its own; that its turn comes is what the end of the run shows
    case 'queued':
      if (job.lease !== null) yield `${job.id} is queued and names ${job.lease}`;
      if (job.notBefore !== null && job.notBefore > terms.nowMs + longestBackoffMs)
        yield `${job.id} backs off until ${job.notBefore}`;
      return;
    case 'preparing':
    case 'running':
    case 'finishing':
      if (!lease) yield `${job.id} is ${job.state} and has no try`;
      else if (leaseMachine.isTerminal(lease.state))
        yield `${job.id} is ${job.state} and ${lease.id} is ${lease.state}`;
      return;
    case 'succeeded':
    case 'failed':
    case 'cancelled':
    case 'expired':
      if (job.lease !== null) yield `${job.id} ended and names ${job.lease}`;
  }
}

/** A try that had been silent is heard of again and has its job again, from the queue or from its replacement. */
function wasTakenBack(job: JobFacts, next: Snapshot, before: Snapshot): boolean {
  const isHeld = heldJobStates.some((held) => held === job.state);
  const isIts = ({ id }: LeaseFacts) => id === job.lease;
  return (
    isHeld && before.leases.find(isIts)?.state === 'silent' && next.leases.find(isIts)?.state === 'active'
  );
}

/** A silent try waits for its machine's return within this. */
function silenceLimit(lease: LeaseFacts): number {
  return lease.state === 'silent' ? 7 * 86_400 : 0;
}

/** Tries that made the job final, or would have. */
function isResult(lease: LeaseFacts): boolean {
  return lease.reason === 'exited-zero' || lease.reason === 'time-limit' || lease.reason === 'cancelled';
}

/** Work of a try that was moved may be paid for as far as its state was saved. */
function partlyBilled({ reason }: LeaseFacts): boolean {
  return reason !== null && endReasonRow(reason).billedToCheckpoint;
}

/** It was not there before the change. */
function isNew(lease: LeaseFacts, before: Snapshot | null): boolean {
  return !before?.leases.some(({ id }) => id === lease.id);
}

function holds({ state }: LeaseFacts): boolean {
  return holdingLeaseStates.some((holding) => holding === state);
}

function sumOf(leases: readonly LeaseFacts[]): number {
  return leases.reduce((sum, { cost }) => sum + cost, 0);
}

function list(leases: readonly LeaseFacts[]): string {
  return leases.map(({ id, state }) => `${id} (${state})`).join(', ');
}
