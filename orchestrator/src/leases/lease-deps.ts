import type { Db } from '@computefabric/db/client';
import type { Logger } from '@computefabric/runtime/log';

/** Times and limits of leases. */
export interface LeaseSettings {
  /** An accepted lease dies this long after its last heartbeat. */
  leaseTtlSeconds: number;
  /** An offer that nobody answers dies after this long. */
  offerSeconds: number;
  heartbeatSeconds: number;
  /** Tries that machines may spoil, once begun, before the job is given up. */
  maxAttempts: number;
  /** A spot job that gives way has at most this long from SIGTERM to SIGKILL. */
  preemptionNoticeSeconds: number;
  /** The market's part of each cost, ten-thousandths. */
  platformFeeBps: number;
  /** The least price of a GPU-hour that a machine may ask; 0 is none. */
  priceFloorPerGpuHourMicros: bigint;
}

export interface LeaseDeps {
  db: Db;
  log: Logger;
  settings: LeaseSettings;
  /** Counts calls that named an old fence or session. */
  onStaleCall: (call: string) => void;
}
