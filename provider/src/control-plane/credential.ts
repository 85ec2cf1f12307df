import { bearerToken, hashSecret, newSecret, parseBearer } from '@computefabric/protocol/api-key';
import { providerId } from '@computefabric/protocol/ids';
import { credentialText, enrolmentText } from '@computefabric/protocol/provider-api/v1/machine-key';
import { enroll, issueCredential } from '@computefabric/protocol/provider-api/v1/session';
import { backoffMs } from '@computefabric/runtime/backoff';
import type { Logger } from '@computefabric/runtime/log';
import type { Signer } from '@computefabric/runtime/receipts/signatures';
import { Secret } from '@computefabric/runtime/secret';
import { pause } from '@computefabric/runtime/wait';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { agentVersion } from '../agent-version.ts';
import { writeFileAtomically } from '../home/atomic-file.ts';
import { StartError } from '../start-error.ts';
import { CallFailed, CallRefused, type ControlPlaneClient } from './client.ts';

const credentialFile = z.object({
  provider_id: providerId,
  name: z.string(),
  /** Where it has joined; files from before 0.2 do not say. */
  url: z.string().optional(),
  /** Of a machine that joined before there were keys. */
  credential: z
    .string()
    .refine((text) => parseBearer(text)?.kind === 'provider', 'is not a credential')
    .optional(),
});
export type CredentialFile = z.infer<typeof credentialFile>;

/** Who this machine is on the market. */
export interface Credential {
  providerId: z.infer<typeof providerId>;
  name: string;
  /**
   * The bearer of a call now.
   *
   * @throws CallRefused when the market does not know this machine's key
   * @throws CallFailed when there is no answer
   */
  bearer(signal: AbortSignal): Promise<Secret>;
  /** The market did not know this bearer: the next call gets another. */
  refused(bearer: Secret): void;
}

interface EnrolOptions {
  path: string;
  client: ControlPlaneClient;
  /** The machine's key, kept before it joins. */
  signer: Signer;
  joinToken: Secret | null;
  name: string;
  log: Logger;
  signal: AbortSignal;
}

/**
 * Who this machine is: from its file, or, at the first start, in exchange for the join token. What it is known by is
 * its key: when the answer is lost, or this process dies before it comes, the next try is known by it although the
 * token is spent.
 *
 * @throws StartError saying what the owner has to do
 */
export async function obtainCredential(options: EnrolOptions): Promise<Credential> {
  const file = (await readCredentialFile(options.path)) ?? (await joinMarket(options));
  return file.credential === undefined
    ? new SignedCredential(file, options.client, options.signer)
    : lastingCredential(file, file.credential);
}

/**
 * Joins and keeps who the machine is now, also when it has joined before.
 *
 * @throws StartError saying what the owner has to do
 */
export async function joinMarket(options: EnrolOptions): Promise<CredentialFile> {
  if (!options.joinToken) {
    throw new StartError(
      'This machine has not joined a market yet: set PROVIDER_JOIN_TOKEN to a join token for the first start.',
      'configuration',
    );
  }
  const reply = await enrolUntilAnswered({ ...options, joinToken: options.joinToken });
  const file = { ...reply, url: options.client.baseUrl };
  await writeFileAtomically(options.path, `${JSON.stringify(file, null, 2)}\n`);
  options.log.info({ provider_id: reply.provider_id, name: reply.name }, 'joined the market');
  return file;
}

/**
 * Who the machine is; null when it has not joined.
 *
 * @throws StartError when the file is damaged
 */
export async function readCredentialFile(path: string): Promise<CredentialFile | null> {
  const text = await readIfThere(path);
  if (text === null) return null;
  const parsed = credentialFile.safeParse(parseJson(text));
  if (parsed.success) return parsed.data;
  throw new StartError(
    `${path} is damaged: remove it and join again with a new join token.`,
    'configuration',
  );
}

const deadlineMs = 10_000;
/** A credential is renewed when this part of its life is left: a market that is away for a while costs nothing. */
const renewAtPart = 0.3;

/** A credential for a while, got for a signature, and renewed before it ends. Never written to disk. */
class SignedCredential implements Credential {
  readonly providerId: CredentialFile['provider_id'];
  readonly name: string;
  readonly #client: ControlPlaneClient;
  readonly #signer: Signer;
  #current: { bearer: Secret; renewAtMs: number; endsAtMs: number } | undefined;
  #renewing: Promise<Secret> | undefined;
  /** What the market's clock is ahead of ours, as it told when it did not take our time. */
  #aheadMs = 0;

  constructor(file: CredentialFile, client: ControlPlaneClient, signer: Signer) {
    this.providerId = file.provider_id;
    this.name = file.name;
    this.#client = client;
    this.#signer = signer;
  }

  async bearer(signal: AbortSignal): Promise<Secret> {
    const now = performance.now();
    if (this.#current && now < this.#current.renewAtMs) return this.#current.bearer;
    const current = this.#current && now < this.#current.endsAtMs ? this.#current : undefined;
    // One renewal at a time, whoever asks; it is not broken off with the one that asked first.
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    if (!current) {
      signal.throwIfAborted();
      return await this.#renewing;
    }
    // The one at hand is good meanwhile. A renewal that fails is made again with the next call.
    this.#renewing.catch(() => undefined);
    return current.bearer;
  }

  refused(bearer: Secret): void {
    if (this.#current?.bearer === bearer) this.#current = undefined;
  }

  async #renew(): Promise<Secret> {
    try {
      return await this.#ask();
    } catch (thrown) {
      const marketNow =
        thrown instanceof CallRefused && thrown.code === 'auth/clock-skew' && thrown.details.now;
      if (typeof marketNow !== 'string') throw thrown;
      // A computer whose clock is wrong. The signature's text names a secret that only we know, so a time that
      // somebody else chose makes it good for nobody.
      this.#aheadMs = Date.parse(marketNow) - Date.now();
      return await this.#ask();
    }
  }

  async #ask(): Promise<Secret> {
    const askedAtMs = performance.now();
    const secret = newSecret();
    const secretHash = hashSecret(secret);
    const at = new Date(Date.now() + this.#aheadMs).toISOString();
    const text = credentialText({ providerId: this.providerId, secretHash, at });
    const signature = await this.#signer.sign(text);
    const { expires_in_seconds: seconds } = await this.#client.call(
      issueCredential,
      { body: { provider_id: this.providerId, secret_hash: secretHash, at, signature } },
      { bearer: null, deadlineMs },
    );
    const bearer = new Secret(bearerToken('provider', idSuffix(this.providerId), secret));
    const livesMs = seconds * 1_000;
    this.#current = {
      bearer,
      renewAtMs: askedAtMs + livesMs * (1 - renewAtPart),
      endsAtMs: askedAtMs + livesMs,
    };
    return bearer;
  }
}

function lastingCredential(file: CredentialFile, credential: string): Credential {
  const bearer = new Secret(credential);
  return {
    providerId: file.provider_id,
    name: file.name,
    bearer: () => Promise.resolve(bearer),
    refused: () => undefined, // There is no other.
  };
}

/** Asks until there is an answer: the key makes a repeat harmless. */
async function enrolUntilAnswered(options: EnrolOptions & { joinToken: Secret }) {
  const { signer } = options;
  const token = parseBearer(options.joinToken.reveal().trim());
  if (token?.kind !== 'join') {
    throw new StartError(
      'That is no join token: one begins with cfj_ and has 74 characters.',
      'configuration',
    );
  }
  const text = enrolmentText({ token: token.idSuffix, publicKey: signer.publicKey });
  const body = {
    name: options.name,
    agent_version: agentVersion,
    public_key: signer.publicKey,
    signature: await signer.sign(text),
  };
  const bearer = new Secret(options.joinToken.reveal().trim());
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await options.client.call(enroll, { body }, { bearer, deadlineMs, signal: options.signal });
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

function idSuffix(id: CredentialFile['provider_id']): string {
  return id.slice('prov_'.length);
}

async function readIfThere(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it, which is reported.
  }
}
