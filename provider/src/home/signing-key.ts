import { readFile } from 'node:fs/promises';
import { newPrivateKey, type Signer, signerOf } from '@computefabric/runtime/receipts/signatures';
import { StartError } from '../start-error.ts';
import type { AgentHome } from './agent-home.ts';
import { writeFileAtomically } from './atomic-file.ts';

/**
 * The key that this machine signs its metering with: made at the first start, readable by the owner alone. Whoever
 * removes the file gets another one at the next start; the market keeps the old public key for old receipts. The
 * caller holds the agent's lock.
 *
 * @throws StartError when the file holds something else
 */
export async function obtainSigningKey(home: AgentHome): Promise<Signer> {
  try {
    return readKey(home, await readFile(home.signingKey, 'utf8'));
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
  }
  const made = newPrivateKey();
  await writeFileAtomically(home.signingKey, made);
  return signerOf(made);
}

function readKey(home: AgentHome, pem: string): Signer {
  try {
    return signerOf(pem);
  } catch (thrown) {
    throw new StartError(
      `${home.signingKey} is damaged: remove it, and the machine signs with a new key.`,
      'configuration',
      thrown,
    );
  }
}
