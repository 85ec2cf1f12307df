import * as machinesApi from '@computefabric/protocol/user-api/machines';
import * as quotesApi from '@computefabric/protocol/user-api/quotes';
import { leaseId } from '@computefabric/protocol/ids';
import { AppError } from '@computefabric/runtime/errors';
import { createJoinToken } from '../../accounts/create-key.ts';
import { listTriesOfMachine, viewMachineTry } from '../../accounts/machine-tries.store.ts';
import { listMachinesOf } from '../../accounts/owned-machines.store.ts';
import { findUser } from '../../accounts/user.store.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import { callerSecret } from '../../http/bearer.ts';
import { cursorAs, pageFrom } from '../../http/page.ts';
import { withIdempotency } from '../../http/idempotency.ts';
import { balanceMicros } from '../../ledger/chart.ts';
import { databaseNow } from '../../background/database-now.ts';
import { placeOfNext } from '../../matching/place-in-line.store.ts';
import { explain } from '../../matching/explain.ts';
import { isModel } from '../../matching/gpu-model.ts';
import type { MachineView } from '../../matching/machine-view.ts';
import { loadMachines } from '../../matching/market.store.ts';
import { rank } from '../../matching/match.ts';
import { viewOffer } from '../../pricing/offer-view.ts';
import { estimateJob } from '../../pricing/estimate.ts';
import { ratePerHourMicros, wholeRateMicros } from '../../pricing/price.ts';
import { findPastRuns, keepQuote } from '../../pricing/quote.store.ts';
import { quoteTerms, specHashOf } from '../../pricing/quote.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

/** Machines and what they cost: the market as renters see it, and one's own machines. */
export function marketRoutes(deps: UserRouteDeps): BoundRoute[] {
  const { db } = deps;
  return [
    route(quotesApi.createQuote, async ({ caller: { userId }, body: spec }) => {
      const user = await findUser(db, userId);
      const limit = user.defaultMaxPricePerHourMicros ?? deps.defaultMaxPricePerHourMicros;
      const { needs, holdMicros } = quoteTerms(spec, limit);
      const machines = await loadMachines(db);
      const fitting = rank(needs, machines);
      const balance = await balanceMicros(db, 'renter_available', userId);
      const now = await databaseNow(db);
      const waiting =
        fitting.length > 0 ? null : explain(needs, machines, { ...(await placeOfNext(db, spec)), now });
      const estimate = estimateJob({
        now,
        timeLimitSeconds: spec.time_limit_seconds,
        holdMicros,
        ratesPerHourMicros: fitting.map((machine) => ratePerHourMicros(needs, machine)),
        highestRateMicros: wholeRateMicros(needs, needs.maxPricePerHourMicros),
        pastRuns: await findPastRuns(db, userId, spec),
        expectedStart: waiting?.expected_start ? new Date(waiting.expected_start) : null,
      });
      return {
        id: await keepQuote(db, { userId, specHash: specHashOf(spec), estimate }),
        estimate,
        offers: fitting.map((machine) => ({
          ...viewOffer(machine),
          price_per_hour_micros: String(ratePerHourMicros(needs, machine)),
        })),
        max_price_per_hour_micros: String(needs.maxPricePerHourMicros),
        hold_micros: String(holdMicros),
        time_limit_seconds: spec.time_limit_seconds,
        balance_micros: String(balance),
        affordable: balance >= holdMicros,
        play_money: deps.view.playMoney,
        waiting,
      };
    }),

    route(quotesApi.listOffers, async ({ query }) => {
      const suits = (machine: MachineView) => {
        if (machine.state !== 'online' && machine.state !== 'draining') return false;
        const cards = machine.gpus.filter(
          (gpu) =>
            gpu.memoryMib >= (query.min_vram_mib ?? 0) &&
            (query.gpu_model === undefined || isModel(gpu.name, query.gpu_model)),
        );
        const needsCard = query.gpu_model !== undefined || (query.min_vram_mib ?? 0) > 0;
        return (
          cards.filter((gpu) => gpu.freeMilli === 1_000).length >= (query.gpus ?? 0) &&
          (cards.length > 0 || !needsCard)
        );
      };
      return { items: (await loadMachines(db)).filter(suits).map(viewOffer) };
    }),

    route(machinesApi.listMachines, async ({ caller: { userId } }) => ({
      items: await listMachinesOf(db, userId),
    })),

    route(machinesApi.getMachine, async ({ caller: { userId }, params }) => {
      const [machine] = await listMachinesOf(db, userId, params.provider);
      if (!machine) throw new AppError('provider/not-found');
      return machine;
    }),

    route(machinesApi.listMachineTries, async ({ caller: { userId }, params, query }) => {
      const [machine] = await listMachinesOf(db, userId, params.provider);
      if (!machine) throw new AppError('provider/not-found');
      const after = cursorAs(leaseId, query.cursor);
      const rows = await listTriesOfMachine(db, machine.id, after, query.limit + 1);
      return pageFrom(rows, query.limit, (row) => row.id, viewMachineTry);
    }),

    route(machinesApi.createJoinToken, async ({ caller: { userId }, body, idempotencyKey, request }) =>
      withIdempotency(
        db,
        {
          userId,
          key: idempotencyKey,
          contract: machinesApi.createJoinToken,
          request: body,
          sealWith: callerSecret(request),
        },
        (tx) => createJoinToken(tx, userId, body.expires_in_seconds),
      ),
    ),
  ];
}
