import { newId } from '@computefabric/protocol/ids';
import type { MeteringRecord } from '@computefabric/protocol/receipts/metering';
import { type JobReceipt, jobReceipt } from '@computefabric/protocol/receipts/receipt';
import { countersign, signRecord } from '../metering-chain.ts';
import type { Signer } from '../signatures.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 2, 3, 4, second)).toISOString();

/** A job that was lost once and then ran for 90 s in two metering records, at 0.36 USD an hour. */
export async function sampleReceipt(market: Signer, agent: Signer): Promise<JobReceipt> {
  const jobId = newId('job');
  const base = {
    machine: { id: newId('provider'), name: 'gärten-pc' },
    gpus: [{ uuid: 'GPU-1', name: 'NVIDIA GeForce RTX 4090', simulated: false }],
    image_digest: 'sha256:1234',
    price_per_hour_micros: '360000',
    agent_keys: [{ key: agent.keyId, public_key: agent.publicKey }],
    exit_code: null,
  };
  const one = { leaseId: newId('lease'), jobId, pricePerHourMicros: '360000', gpuUuids: ['GPU-1'] };
  const lost = { ...one, leaseId: newId('lease'), fence: 7, attempt: 1 };
  const ran = { ...one, fence: 8, attempt: 2 };
  const first = await signRecord(market, lost, null, {
    from: at(0),
    to: at(5),
    totalMs: 5_000,
    final: true,
  });
  const second = await signRecord(market, ran, null, {
    from: at(10),
    to: at(70),
    totalMs: 60_000,
    final: false,
  });
  const third = await signRecord(market, ran, second, {
    from: at(70),
    to: at(100),
    totalMs: 90_000,
    final: true,
  });
  const sealed = async (record: MeteringRecord): Promise<MeteringRecord> => {
    const { key, signature } = await countersign(agent, ran, record);
    return { ...record, agent_key: key, agent_signature: signature };
  };
  return jobReceipt.parse({
    type: 'computefabric-receipt/1',
    number: 1,
    issued_at: at(120),
    job: {
      id: jobId,
      name: 'train-7',
      state: 'succeeded',
      image: 'pytorch/pytorch:2.7',
      end_reason: 'exited-zero',
      exit_code: 0,
      submitted_at: at(0),
      started_at: at(0),
      finished_at: at(110),
      run_seconds: 110,
      wait_seconds: 0,
    },
    currency: 'USD',
    play_money: true,
    hold_micros: '360000',
    cost_micros: '9000',
    fee_micros: '450',
    earned_micros: '8550',
    refunded_micros: '0',
    total_micros: '9000',
    released_micros: '351000',
    billed_ms: 90_000,
    free_ms: 5_000,
    payment: { id: newId('payment'), state: 'succeeded' },
    ledger: [
      { id: `hold:${jobId}`, kind: 'hold', amount_micros: '360000', at: at(0) },
      { id: `earn:${jobId}:${ran.leaseId}`, kind: 'earn', amount_micros: '8550', at: at(110) },
      { id: `fee:${jobId}:${ran.leaseId}`, kind: 'fee', amount_micros: '450', at: at(110) },
      { id: `release:${jobId}`, kind: 'release', amount_micros: '351000', at: at(110) },
    ],
    tries: [
      {
        ...base,
        lease_id: lost.leaseId,
        fence: 7,
        attempt: 1,
        offered_at: at(0),
        started_at: at(0),
        exited_at: at(5),
        ended_at: at(5),
        end_reason: 'provider-lost',
        end_message: 'The machine stopped answering. This try is not billed.',
        fault: 'provider',
        metered_ms: 5_000,
        billed_ms: 0,
        free_ms: 5_000,
        cost_micros: '0',
        fee_micros: '0',
        earned_micros: '0',
        intervals: [first],
        log: { chunks: 0, bytes: 0, sha256: 'e'.repeat(64) },
        files: [],
      },
      {
        ...base,
        lease_id: ran.leaseId,
        fence: 8,
        attempt: 2,
        offered_at: at(8),
        started_at: at(10),
        exited_at: at(100),
        ended_at: at(110),
        end_reason: 'exited-zero',
        end_message: 'The program ended successfully.',
        fault: 'nobody',
        exit_code: 0,
        metered_ms: 90_000,
        billed_ms: 90_000,
        free_ms: 0,
        cost_micros: '9000',
        fee_micros: '450',
        earned_micros: '8550',
        intervals: [await sealed(second), await sealed(third)],
        log: { chunks: 3, bytes: 42, sha256: 'a'.repeat(64) },
        files: [{ path: 'model.json', size_bytes: 10, sha256: 'b'.repeat(64) }],
      },
    ],
    log_sha256: 'a'.repeat(64),
    estimate: null,
    dispute: null,
  });
}
