import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import { addMs, type Moment } from '../home/boot-clock.ts';

/** The market was heard. */
export interface Heard {
  /** When the question was sent: the answer is no older. */
  at: Moment;
  leaseTtlSeconds: number;
}

/** When a try dies if nothing more is heard: after the lease time, or after what its job bears. */
export function aliveUntil(spec: Pick<TaskSpec, 'stop_after_silence_seconds'>, heard: Heard): Moment {
  return addMs(heard.at, (spec.stop_after_silence_seconds ?? heard.leaseTtlSeconds) * 1_000);
}
