import { newId } from '@computefabric/protocol/ids';
import { type TaskSpec, taskSpec } from '@computefabric/protocol/provider-api/v1/session';

/** An ordinary offer of a CPU job; each call is another lease. */
export function testSpec(change: Partial<TaskSpec> = {}): TaskSpec {
  const ids = taskSpec
    .pick({ lease_id: true, job_id: true })
    .parse({ lease_id: newId('lease'), job_id: newId('job') });
  return {
    ...ids,
    fence: 1,
    attempt: 1,
    image: 'example/image:latest',
    command: 'true',
    env: {},
    cpus: 0.5,
    memory_mib: 64,
    gpu_uuids: [],
    variables: {},
    gpu_milli: 1_000,
    class: 'on-demand',
    disk_mib: 0,
    registry_login: false,
    resumed: false,
    checkpoint: null,
    stop_after_silence_seconds: null,
    time_limit_seconds: 60,
    stop_grace_seconds: 1,
    network: { mode: 'none', allow: [] },
    price_per_hour_micros: '20000',
    offer_seconds: 10,
    ...change,
  };
}
