import { canonicalJson } from '@computefabric/protocol/receipts/canonical-json';
import { type Signer, sha256Of } from './signatures.ts';

/** A type and no interface: the contract's loose objects take any member. */
export type Sealed<R> = {
  receipt: R;
  fingerprints: Record<string, string>;
  signature: { key: string; value: string };
};

/** Signs a receipt, with fingerprints that tell where it was changed if it is. */
export async function sealReceipt<R>(receipt: R, signer: Signer): Promise<Sealed<R>> {
  const fingerprints = fingerprintsOf(receipt);
  const value = await signer.sign(sealedText({ receipt, fingerprints }));
  return { receipt, fingerprints, signature: { key: signer.keyId, value } };
}

/** The text that the market's signature of a receipt is over. */
export function sealedText({ receipt, fingerprints }: { receipt: unknown; fingerprints: unknown }): string {
  return canonicalJson({ fingerprints, receipt });
}

/**
 * For each value of a receipt, by its path such as `tries[0].billed_ms`, the first 8 digits of the SHA-256 of its
 * canonical text. Metering records are one value each: they are signed one by one.
 */
export function fingerprintsOf(receipt: unknown): Record<string, string> {
  return Object.fromEntries(
    leavesOf(receipt, '').map(([path, value]) => [path, sha256Of(canonicalJson(value)).slice(0, 8)]),
  );
}

function leavesOf(value: unknown, path: string): [path: string, value: unknown][] {
  if (typeof value !== 'object' || value === null || /\bintervals\[\d+\]$/.test(path)) return [[path, value]];
  const members = Array.isArray(value)
    ? value.map((item, index): [string, unknown] => [`${path}[${index}]`, item])
    : Object.entries(value).map(([name, item]): [string, unknown] => [
        path === '' ? name : `${path}.${name}`,
        item,
      ]);
  // An empty list is a value too: taking out its last member is a change.
  if (members.length === 0) return [[path, value]];
  return members.flatMap(([at, item]) => leavesOf(item, at));
}

/** What an older key signs to vouch for a newer one. */
export function endorsementText(key: { key: string; public_key: string }): string {
  return canonicalJson({ type: 'computefabric-key/1', key: key.key, public_key: key.public_key });
}
