import type { UserId } from '@computefabric/protocol/ids';
import * as api from '@computefabric/protocol/user-api/machines';
import { AppError } from '@computefabric/runtime/errors';
import { listMachinesOf } from '../../accounts/owned-machines.store.ts';
import { databaseNow } from '../../background/database-now.ts';
import { type BoundRoute, route } from '../../http/define-route.ts';
import {
  drainMachine,
  type OwnedMachine,
  pauseMachine,
  planAbsence,
  resumeMachine,
} from '../../providers/availability.store.ts';
import type { UserRouteDeps } from './user-route-deps.ts';

interface MachineCall {
  caller: { userId: UserId };
  params: { provider: OwnedMachine['providerId'] };
}

/** What an owner wants of a machine: open, paused, drained, away. */
export function availabilityRoutes({ db }: UserRouteDeps): BoundRoute[] {
  const owned = ({ caller, params }: MachineCall): OwnedMachine => ({
    ownerId: caller.userId,
    providerId: params.provider,
  });

  /** The machine as it is wished now. */
  const view = async (call: MachineCall, isTheirs: boolean) => {
    const [machine] = isTheirs ? await listMachinesOf(db, call.caller.userId, call.params.provider) : [];
    if (!machine) throw new AppError('provider/not-found');
    return machine;
  };

  return [
    route(api.pauseMachine, async (call) => {
      const { for_seconds: forSeconds, reason } = call.body;
      return await view(call, await pauseMachine(db, owned(call), { forSeconds, reason }));
    }),

    route(api.drainMachine, async (call) => {
      const { within_seconds: withinSeconds, reason } = call.body;
      return await view(call, await drainMachine(db, owned(call), { withinSeconds, reason }));
    }),

    route(api.resumeMachine, async (call) => await view(call, await resumeMachine(db, owned(call)))),

    route(api.planMaintenance, async (call) => {
      const absence = { from: new Date(call.body.from), until: new Date(call.body.until) };
      if (absence.until <= (await databaseNow(db))) throw new AppError('provider/absence-past');
      const { reason } = call.body;
      return await view(call, await planAbsence(db, owned(call), { ...absence, reason }));
    }),

    route(api.cancelMaintenance, async (call) => await view(call, await planAbsence(db, owned(call), null))),
  ];
}
