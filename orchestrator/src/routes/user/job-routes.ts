import { jobId } from '@computefabric/protocol/ids';
import { registryLoginHeader } from '@computefabric/protocol/registry-login';
import * as api from '@computefabric/protocol/user-api/jobs';
import { AppError } from '@computefabric/runtime/errors';
import { invariant, never } from '@computefabric/runtime/invariant';
import { z } from 'zod';
import { resumeJob } from '../../billing/resume-job.ts';
import { findUser } from '../../accounts/user.store.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { withIdempotency } from '../../http/idempotency.ts';
import { cursorAs, pageFrom } from '../../http/page.ts';
import { jobOf, listEventsOf, listJobsOf } from '../../jobs/job-reads.store.ts';
import { viewEvent, viewJob, viewJobs, viewNewJob } from '../../jobs/job-view.ts';
import { keepRegistryLogin } from '../../jobs/keep-registry-login.ts';
import { requireJob } from '../../jobs/require-job.ts';
import { submitJob } from '../../jobs/submit-job.ts';
import { useQuote } from '../../pricing/quote.store.ts';
import { specHashOf } from '../../pricing/quote.ts';
import { cancelJob } from '../../leases/cancel-job.ts';
import { requireGroup } from '../../shapes/require-group.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** The number of the last event of the page before. */
const eventCursor = z
  .string()
  .regex(/^\d{1,9}$/)
  .transform(Number);

/** PostgreSQL has no year 0; nothing here is older than this century anyway. */
function storableMoment(text: string): Date {
  return new Date(Math.max(Date.parse(text), Date.UTC(2000)));
}

export function jobRoutes(deps: UserRouteDeps): BoundRoute[] {
  const { db, view } = deps;
  return [
    route(api.createJob, async ({ caller: { userId, keyId }, body: spec, query, headers, idempotencyKey }) =>
      withIdempotency(
        db,
        { userId, key: idempotencyKey, contract: api.createJob, request: spec },
        async (tx) => {
          const user = await findUser(tx, userId);
          const defaultMaxPricePerHourMicros =
            user.defaultMaxPricePerHourMicros ?? deps.defaultMaxPricePerHourMicros;
          const job = await submitJob(tx, { userId, apiKeyId: keyId, spec, defaultMaxPricePerHourMicros });
          const login = headers[registryLoginHeader];
          if (login !== undefined) await keepRegistryLogin(tx, deps.secretsKey, job.id, login);
          if (query.quote !== undefined)
            await useQuote(tx, { id: query.quote, userId, specHash: specHashOf(spec), jobId: job.id });
          return await viewNewJob(tx, view, job, { dependent: spec.after.length > 0 });
        },
      ),
    ),

    route(api.listJobs, async ({ caller: { userId }, query }) => {
      const rows = await listJobsOf(db, userId, {
        limit: query.limit + 1,
        before: cursorAs(jobId, query.cursor),
        states: query.state,
        text: query.q === '' ? undefined : query.q,
        since: query.since === undefined ? undefined : storableMoment(query.since),
        groupId:
          query.group !== undefined
            ? (await requireGroup(db, userId, query.group)).id
            : query.ungrouped && null,
      });
      const page = pageFrom(
        rows,
        query.limit,
        (row) => row.id,
        (row) => row,
      );
      return { ...page, items: await viewJobs(db, view, page.items) };
    }),

    route(api.getJob, async ({ caller: { userId }, params }) =>
      viewJob(db, view, await requireJob(db, userId, params.job)),
    ),

    route(api.cancelJob, async ({ caller: { userId }, params }) => {
      const { id } = await requireJob(db, userId, params.job);
      const outcome = await cancelJob(deps, { userId, jobId: id });
      switch (outcome) {
        case 'not-found':
          throw new AppError('job/not-found');
        case 'already-final':
          throw new AppError('job/already-final');
        case 'cancelled':
        case 'cancelling':
          break;
        default:
          never(outcome, 'outcome of a cancel');
      }
      const job = await jobOf(db, userId, id);
      invariant(job, `job ${id} exists once it was cancelled`);
      return await viewJob(db, view, job);
    }),

    route(api.resumeJob, async ({ caller: { userId, keyId }, params, body, idempotencyKey }) => {
      const { id: jobId } = await requireJob(db, userId, params.job);
      const request = { job: jobId, ...body };
      return await withIdempotency(
        db,
        { userId, key: idempotencyKey, contract: api.resumeJob, request },
        async (tx) => {
          const maxCostMicros =
            body.max_cost_micros == null ? body.max_cost_micros : BigInt(body.max_cost_micros);
          const limit = { maxCostMicros, onLimit: body.on_limit };
          const job = await resumeJob(tx, { userId, apiKeyId: keyId, jobId, limit });
          return await viewJob(tx, view, job);
        },
      );
    }),

    route(api.listJobEvents, async ({ caller: { userId }, params, query }) => {
      const job = await requireJob(db, userId, params.job);
      const after = cursorAs(eventCursor, query.cursor) ?? 0;
      const rows = await listEventsOf(db, job.id, after, query.limit + 1);
      return pageFrom(rows, query.limit, (row) => String(row.seq), viewEvent);
    }),
  ];
}
