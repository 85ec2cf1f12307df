import { readFile, rm } from 'node:fs/promises';
import { bearerToken, hashSecret, newSecret, parseBearer } from '@computefabric/protocol/api-key';
import { providerId } from '@computefabric/protocol/ids';
import { enroll } from '@computefabric/protocol/provider-api/v1/session';
import { backoffMs } from '@computefabric/runtime/backoff';
import type { Logger } from '@computefabric/runtime/log';
import { Secret } from '@computefabric/runtime/secret';
import { pause } from '@computefabric/runtime/wait';
import { z } from 'zod';
import { agentVersion } from '../agent-version.ts';
import { writeFileAtomically } from '../home/atomic-file.ts';
import { StartError } from '../start-error.ts';
import { CallFailed, CallRefused, type ControlPlaneClient } from './client.ts';

const credentialFile = z.object({
  provider_id: providerId,
  name: z.string(),
  credential: z.string().refine((text) => parseBearer(text)?.kind === 'provider', 'is not a credential'),
});

/** Who this machine is on the market. */
export interface Credential {
  providerId: z.infer<typeof providerId>;
  name: string;
  bearer: Secret;
}

interface EnrolOptions {
  path: string;
  client: ControlPlaneClient;
  joinToken: Secret | null;
  name: string;
  log: Logger;
  signal: AbortSignal;
}

/**
 * The machine's credential: from its file, or, at the first start, in exchange for the join token. The machine
 * chooses its secret and keeps it before it asks, readable by the owner alone: when the answer is lost, or this
 * process dies before it comes, the next try is known by that secret although the token is spent.
 *
 * @throws StartError saying what the owner has to do
 */
export async function obtainCredential(options: EnrolOptions): Promise<Credential> {
  const known = await readCredential(options.path);
  if (known) return known;
  if (!options.joinToken) {
    throw new StartError(
      'This machine has not joined a market yet: set PROVIDER_JOIN_TOKEN to a join token for the first start.',
      'configuration',
    );
  }
  const secretPath = `${options.path}.secret`;
  const secret = (await readIfThere(secretPath)) ?? newSecret();
  await writeFileAtomically(secretPath, secret);
  const reply = await enrolUntilAnswered({ ...options, joinToken: options.joinToken }, hashSecret(secret));
  const credential = bearerToken('provider', reply.provider_id.slice('prov_'.length), secret);
  const file = { ...reply, credential };
  await writeFileAtomically(options.path, `${JSON.stringify(file, null, 2)}\n`);
  await rm(secretPath, { force: true });
  options.log.info({ provider_id: reply.provider_id, name: reply.name }, 'joined the market');
  return toCredential(file);
}

async function readCredential(path: string): Promise<Credential | null> {
  const text = await readIfThere(path);
  if (text === null) return null;
  const parsed = credentialFile.safeParse(parseJson(text));
  if (parsed.success) return toCredential(parsed.data);
  throw new StartError(
    `${path} is damaged: remove it and join again with a new join token.`,
    'configuration',
  );
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** Asks until there is an answer: the secret's hash makes a repeat harmless. */
async function enrolUntilAnswered(options: EnrolOptions & { joinToken: Secret }, secretHash: string) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await options.client.call(
        enroll,
        { body: { name: options.name, agent_version: agentVersion, secret_hash: secretHash } },
        { bearer: options.joinToken, deadlineMs: 10_000, signal: options.signal },
      );
    } catch (thrown) {
      if (thrown instanceof CallRefused) {
        throw new StartError(
          `The orchestrator did not let this machine join: ${thrown.message}`,
          'refused',
          thrown,
        );
      }
      if (!(thrown instanceof CallFailed) || options.signal.aborted) throw thrown;
      options.log.warn({ err: thrown }, 'the orchestrator does not answer; trying again');
      await pause(backoffMs(attempt, { baseMs: 500, maxMs: 15_000 }), options.signal);
    }
  }
}

function toCredential(file: z.infer<typeof credentialFile>): Credential {
  return { providerId: file.provider_id, name: file.name, bearer: new Secret(file.credential) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it, which is reported.
  }
}
