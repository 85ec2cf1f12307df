import {
  type Countersignature,
  type MeteringRecord,
  recordText,
  type TryTerms,
  termsText,
} from '@computefabric/protocol/receipts/metering';
import { isSignedBy, type Signer, sha256Of } from './signatures.ts';

/** What the next record of a try says. Moments as the wire writes them. */
export interface NextRecord {
  from: string;
  to: string;
  /** Running time since the start of the try, ms. */
  totalMs: number;
  final: boolean;
}

/** Signs the record that follows `before`, or the first one of the try. */
export async function signRecord(
  signer: Signer,
  terms: TryTerms,
  before: MeteringRecord | null,
  next: NextRecord,
): Promise<MeteringRecord> {
  const body = {
    seq: (before?.seq ?? 0) + 1,
    from: next.from,
    to: next.to,
    metered_ms: Math.max(next.totalMs - (before?.total_ms ?? 0), 0),
    total_ms: Math.max(next.totalMs, before?.total_ms ?? 0),
    final: next.final,
    prev: hashBefore(terms, before),
  };
  const signature = await signer.sign(recordText(terms, body));
  return { ...body, key: signer.keyId, signature, agent_key: null, agent_signature: null };
}

/** The hash that a record names: of the record before it, or of the terms of the try. */
export function hashBefore(terms: TryTerms, before: MeteringRecord | null): string {
  return sha256Of(before === null ? termsText(terms) : recordText(terms, before));
}

/** A machine's signature of a record, over the same text as the market's. */
export async function countersign(
  signer: Signer,
  terms: TryTerms,
  record: MeteringRecord,
): Promise<Countersignature> {
  return {
    seq: record.seq,
    key: signer.keyId,
    signature: await signer.sign(recordText(terms, record)),
  };
}

export interface ChainProblem {
  /** Place in the list of records. */
  index: number;
  message: string;
}

/**
 * Checks the records of a try: each follows the one before it, the sums are right, and all signatures hold.
 *
 * @param keys public keys by key id: the market's and the machine's
 */
export function checkChain(
  terms: TryTerms,
  records: readonly MeteringRecord[],
  keys: { market: ReadonlyMap<string, string>; agent: ReadonlyMap<string, string> },
): ChainProblem[] {
  const problems: ChainProblem[] = [];
  let before: MeteringRecord | null = null;
  for (const [index, record] of records.entries()) {
    const problem = (message: string) => problems.push({ index, message });
    if (record.seq !== index + 1) problem(`seq is ${record.seq} and must be ${index + 1}`);
    if (record.prev !== hashBefore(terms, before)) {
      problem(before ? 'does not follow the record before it' : 'does not follow the terms of the try');
    }
    if (before && record.from !== before.to) problem('does not begin where the record before it ends');
    if (record.total_ms !== (before?.total_ms ?? 0) + record.metered_ms) problem('total_ms is no sum');
    if (before?.final) problem('follows the final record');
    if (!isVouched(keys.market, record.key, recordText(terms, record), record.signature)) {
      problem("the market's signature does not fit");
    }
    const { agent_key: agentKey, agent_signature: agentSignature } = record;
    if ((agentKey === null) !== (agentSignature === null)) {
      problem("half of the machine's signature is missing");
    } else if (agentKey !== null && agentSignature !== null) {
      if (!isVouched(keys.agent, agentKey, recordText(terms, record), agentSignature)) {
        problem("the machine's signature does not fit");
      }
    }
    before = record;
  }
  return problems;
}

function isVouched(keys: ReadonlyMap<string, string>, key: string, text: string, signature: string): boolean {
  const publicKey = keys.get(key);
  return publicKey !== undefined && isSignedBy(publicKey, text, signature);
}
