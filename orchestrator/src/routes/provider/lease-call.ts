import type { ProviderId } from '@computefabric/protocol/ids';
import type { fenceHeader, sessionHeader } from '@computefabric/protocol/provider-api/v1/common';
import type { LeaseClaim } from '../../leases/lease.store.ts';

/** A machine's call about one of its tries, as the routes get it. */
export interface LeaseCall {
  params: { lease: LeaseClaim['leaseId'] };
  headers: { [sessionHeader]: string; [fenceHeader]: string };
  caller: { providerId: ProviderId };
}
