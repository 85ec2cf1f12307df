import type { MeteringRecord } from '@computefabric/protocol/receipts/metering';
import { invariant } from '@computefabric/runtime/invariant';
import { LogsIncomplete } from '../../control-plane/lease-reports.ts';
import type { TaskContext } from '../task-context.ts';

/** They store what we send, so the second time nothing is missing; more is for an orchestrator that loses things. */
const mostRepairs = 5;

/** Says how the try ended. Output that the orchestrator misses is sent again first. */
export async function reportEnd({ journal, reports, output, witness, signal }: TaskContext): Promise<void> {
  const { outcome, exit, startedAt } = journal.record;
  let metering: MeteringRecord | undefined;
  invariant(outcome, 'a try that is over has an outcome');
  for (let repairs = 0; ; repairs += 1) {
    try {
      const logChunks = output.counters.chunks;
      metering = await reports.ended({ ...outcome, exitCode: exit?.code ?? null, logChunks }, signal);
      break;
    } catch (thrown) {
      if (!(thrown instanceof LogsIncomplete) || repairs === mostRepairs) throw thrown;
      await output.shipAgainFrom(thrown.nextSeq);
    }
  }
  const countersigned = (metering && (await witness.sign(metering, startedAt))) ?? null;
  await journal.update({ endReported: true, logs: output.counters, countersigned });
}
