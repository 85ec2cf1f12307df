import { limits } from '@computefabric/protocol/limits';
import type { ProviderId } from '@computefabric/protocol/ids';
import { decodeLogFrames } from '@computefabric/protocol/log-frames';
import { fenceHeader, sessionHeader } from '@computefabric/protocol/provider-api/v1/common';
import * as leaseApi from '@computefabric/protocol/provider-api/v1/leases';
import * as sessionApi from '@computefabric/protocol/provider-api/v1/session';
import type { TaskAnswer } from '@computefabric/protocol/provider-api/v1/session';
import { AppError } from '@computefabric/runtime/errors';
import type { Secret } from '@computefabric/runtime/secret';
import type { z } from 'zod';
import { putArtifact } from '../../artifacts/put-artifact.ts';
import { Coalescer } from '../../background/coalescer.ts';
import type { Signals } from '../../background/signals.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { readBytes } from '../../http/read-json.ts';
import { noteKeptStates } from '../../checkpoints/note-kept-states.ts';
import { openRegistryLogin } from '../../jobs/keep-registry-login.ts';
import { findRegistryLogin } from '../../jobs/registry-login.store.ts';
import { checkpointRoutes } from './checkpoint-routes.ts';
import type { LeaseCall } from './lease-call.ts';
import type { MeterBook } from '../../metering/meter-book.ts';
import { stale } from '../../leases/claimed-lease.ts';
import { emptyMachine } from '../../leases/move-tries.ts';
import { findLease, type LeaseClaim } from '../../leases/lease.store.ts';
import { reviveLease } from '../../leases/silent-lease.ts';
import { findClaimStandings } from '../../leases/silent-lease.store.ts';
import type { LeaseDeps } from '../../leases/lease-deps.ts';
import {
  acceptLease,
  acceptLeases,
  exitLease,
  rejectLease,
  releaseClaimedLease,
  reportEnd,
  startLease,
  startLeaseAtOnce,
} from '../../leases/report-lease.ts';
import type { ObjectStore } from '../../objects/object-store.ts';
import { enrollProvider, proofOf } from '../../providers/enroll-provider.ts';
import { issueCredential } from '../../providers/issue-credential.ts';
import { openProviderSession } from '../../sessions/open-session.ts';
import { lookForMany, pollOffers, ToldOffers } from '../../sessions/poll-offers.ts';
import { leaveMarket, touchSession, touchSessions } from '../../providers/provider.store.ts';
import { imageNotes } from '../../sessions/note-images.ts';
import { noteOwner } from '../../sessions/note-owner.ts';
import { recordHeartbeat } from '../../sessions/record-heartbeat.ts';
import { appendLogChunks, appendSmallBatch } from '../../run-logs/append-log-chunks.ts';

interface SessionCall {
  providerId: ProviderId;
  session: number;
}

export interface ProviderRouteDeps extends LeaseDeps {
  signals: Signals;
  objects: ObjectStore;
  meter: MeterBook;
  /** Opens what is kept sealed for renters. */
  secretsKey: Secret | null;
}

/** What agents call. They always call us; nothing here ever calls them. */
export function providerRoutes(deps: ProviderRouteDeps): BoundRoute[] {
  const { db, settings } = deps;

  // What ten thousand machines ask all the time is asked of the database together.
  const touches = new Coalescer((calls: SessionCall[]) => touchSessions(db, calls));
  const standings = new Coalescer((calls: Pick<LeaseClaim, 'providerId' | 'leaseId'>[]) =>
    findClaimStandings(db, calls),
  );
  const looks = new Coalescer((ids: ProviderId[]) => lookForMany(deps, ids));
  const toldOffers = new ToldOffers();
  const noteImages = imageNotes();
  const accepts = new Coalescer(
    (claims: (LeaseClaim & { session: number })[]) => acceptLeases(deps, claims),
    200,
  );

  /** Refuses a process of the machine that a newer one has replaced. */
  const requireSession = async (providerId: ProviderId, session: string) => {
    // A machine that returns gets new work only after its heartbeat has told what it still has.
    const seen = await touches.call({ providerId, session: Number(session) });
    if (seen === 'suspended') throw new AppError('provider/suspended');
    if (seen === 'stale') {
      deps.onStaleCall('session');
      throw new AppError('provider/session-stale');
    }
    return seen;
  };

  /** Which try a call is about; the session is checked, the fence is for the use case to check under lock. */
  const claimOf = async ({ params, headers, caller }: LeaseCall): Promise<LeaseClaim> => {
    const standing = await standings.call({ providerId: caller.providerId, leaseId: params.lease });
    if (standing.session !== Number(headers[sessionHeader])) {
      deps.onStaleCall('session');
      throw new AppError('provider/session-stale');
    }
    const claim = {
      leaseId: params.lease,
      providerId: caller.providerId,
      fence: Number(headers[fenceHeader]),
    };
    // Whatever a machine says first after a silence, it is back: its try is kept or not before it is heard.
    if (standing.unheardOf) await reviveLease(deps, claim);
    return claim;
  };

  return [
    route(sessionApi.enroll, async ({ caller, body }) => {
      const enrolled = await enrollProvider(db, {
        joinKeyId: caller.keyId,
        ownerId: caller.ownerId,
        name: body.name,
        agentVersion: body.agent_version,
        proof: proofOf(caller.keyId, body),
      });
      return { provider_id: enrolled.id, name: enrolled.name };
    }),

    route(sessionApi.issueCredential, async ({ body }) => ({
      expires_in_seconds: await issueCredential(db, {
        providerId: body.provider_id,
        secretHash: body.secret_hash,
        at: body.at,
        signature: body.signature,
      }),
    })),

    route(sessionApi.hello, async ({ caller, body }) => {
      const { session, tasks } = await openProviderSession(deps, caller.providerId, body);
      return {
        session,
        tasks,
        lease_ttl_seconds: settings.leaseTtlSeconds,
        heartbeat_seconds: settings.heartbeatSeconds,
        poll_seconds: limits.pollSeconds,
      };
    }),

    route(sessionApi.poll, async ({ caller, headers, signal }) => {
      await requireSession(caller.providerId, headers[sessionHeader]);
      const look = (id: ProviderId) => looks.call(id);
      const told = { offers: toldOffers, session: Number(headers[sessionHeader]) };
      return await pollOffers({ ...deps, look, told }, caller.providerId, limits.pollSeconds, signal);
    }),

    route(sessionApi.heartbeat, async ({ caller, headers, body }) => {
      const seen = await requireSession(caller.providerId, headers[sessionHeader]);
      const tasks = await recordHeartbeat(deps, caller.providerId, body.tasks);
      await meterTasks(deps.meter, caller.providerId, body.tasks, tasks);
      if (seen === 'offline') await touchSession(db, caller.providerId, Number(headers[sessionHeader]));
      if (body.owner_notice)
        await noteOwner(deps, caller.providerId, Number(headers[sessionHeader]), body.owner_notice);
      const forget = body.kept_states && (await noteKeptStates(deps, caller.providerId, body.kept_states));
      const wanted = body.cached_images && (await noteImages(deps, caller.providerId, body.cached_images));
      return {
        lease_ttl_seconds: settings.leaseTtlSeconds,
        tasks,
        forget_states: forget ?? [],
        wanted_images: wanted ?? [],
      };
    }),

    route(sessionApi.goodbye, async ({ caller, headers, body }) => {
      const session = Number(headers[sessionHeader]);
      const left = await db.transaction((tx) => leaveMarket(tx, caller.providerId, session, body.leaving));
      if (!left) throw new AppError('provider/session-stale');
      // Leaving, it has brought home what it could already.
      if (!body.leaving) await emptyMachine(deps, caller.providerId);
      return {};
    }),

    route(leaseApi.acceptLease, async (call) => {
      // Nearly every call is about an offer that waits for it; any other is looked at closely.
      if (!(await accepts.call(askedBy(call)))) await acceptLease(deps, await claimOf(call));
      return { lease_ttl_seconds: settings.leaseTtlSeconds };
    }),

    route(leaseApi.rejectLease, async (call) => {
      await rejectLease(deps, await claimOf(call), call.body.reason);
      return {};
    }),

    route(leaseApi.readRegistryLogin, async (call) => {
      const claim = await claimOf(call);
      const lease = await findLease(db, claim.leaseId, claim.providerId);
      if (!lease) throw new AppError('lease/not-found');
      if (lease.state !== 'active' || lease.fence !== claim.fence) throw stale();
      const sealed = await findRegistryLogin(db, lease.jobId);
      return { login: sealed === null ? null : openRegistryLogin(deps.secretsKey, lease.jobId, sealed) };
    }),

    route(leaseApi.startedLease, async (call) => {
      const { image_digest: imageDigest } = call.body;
      if (!(await startLeaseAtOnce(deps, askedBy(call), imageDigest)))
        await startLease(deps, await claimOf(call), imageDigest);
      return {};
    }),

    route(leaseApi.appendLogs, async (call) => {
      const { first_seq: firstSeq } = call.query;
      const chunks = decodeLogFrames(await readBytes(call.request, limits.logBatchBytes), firstSeq);
      if (!chunks) throw new AppError('lease/bad-frames');
      const atOnce = await appendSmallBatch(db, { ...askedBy(call), firstSeq, chunks });
      if (atOnce) return { next_seq: atOnce.nextSeq };
      const claim = await claimOf(call);
      if (!(await findLease(db, claim.leaseId, claim.providerId))) throw new AppError('lease/not-found');
      const stored = await appendLogChunks(db, { ...claim, firstSeq, chunks });
      if (stored === 'stale') {
        deps.onStaleCall('logs');
        throw stale();
      }
      return { next_seq: stored.nextSeq };
    }),

    route(leaseApi.exitedLease, async (call) => {
      await exitLease(deps, await claimOf(call), call.body.exit_code);
      return {};
    }),

    route(leaseApi.putArtifact, async (call) => {
      const claim = await claimOf(call);
      await putArtifact(deps, {
        ...claim,
        path: call.query.path,
        sha256: call.query.sha256,
        sizeBytes: call.query.size_bytes,
        body: call.request,
        signal: call.signal,
      });
      return {};
    }),

    route(leaseApi.endedLease, async (call) => {
      const endedAt = await reportEnd(deps, await claimOf(call), call.body);
      const metering = await deps.meter.tryToClose(call.params.lease);
      return { ended_at: endedAt.toISOString(), ...(metering ? { metering } : {}) };
    }),

    route(leaseApi.releasedLease, async (call) => {
      const claim = await claimOf(call);
      await releaseClaimedLease(deps, claim);
      if (call.body.countersigned) await deps.meter.countersigned(claim, call.body.countersigned);
      return {};
    }),

    ...checkpointRoutes(deps, claimOf),
  ];
}

/** Which try a call says that it is about, and in which session of the machine: nothing of it is checked yet. */
function askedBy({ params, headers, caller }: LeaseCall): LeaseClaim & { session: number } {
  return {
    leaseId: params.lease,
    providerId: caller.providerId,
    fence: Number(headers[fenceHeader]),
    session: Number(headers[sessionHeader]),
  };
}

type Beat = z.output<NonNullable<typeof sessionApi.heartbeat.body>>['tasks'][number];

/** What a heartbeat means for the meter: signatures of earlier records are kept, records that are due are written. */
async function meterTasks(
  meter: MeterBook,
  providerId: ProviderId,
  beats: readonly Beat[],
  answers: TaskAnswer[],
): Promise<void> {
  const beatOf = new Map(beats.map((beat) => [beat.lease_id, beat]));
  for (const answer of answers) {
    const beat = beatOf.get(answer.lease_id);
    if (!beat || answer.verdict === 'gone') continue;
    const claim = { leaseId: beat.lease_id, providerId, fence: beat.fence };
    if (beat.countersigned) await meter.countersigned(claim, beat.countersigned);
    const metering = beat.task_state === 'running' ? await meter.heard(beat.lease_id) : null;
    if (metering) answer.metering = metering;
  }
}
