import 'server-only';

import { type Client, createClient } from '@computefabric/api-client/client';
import { ApiError, UnreachableError } from '@computefabric/api-client/errors';
import { type OpenStream, Transport } from '@computefabric/api-client/transport';
import { downloadArtifact } from '@computefabric/protocol/user-api/artifacts';
import { streamJob } from '@computefabric/protocol/user-api/logs';
import { getConfig } from './config.ts';
import type { Session } from './session.ts';

/** An action that a person waits for: long enough for a busy server, short enough to say so. */
const deadlineMs = 10_000;
/** What only adds to a page must not hold it up. */
const sideReadDeadlineMs = 2_000;

/** The orchestrator's API as this viewer. */
export function orchestratorAs(session: Session): Client {
  return createClient({ ...optionsFor(session), deadlineMs });
}

/** The same for reads that a page can do without: one quick try. */
export function quickOrchestratorAs(session: Session): Client {
  return createClient({ ...optionsFor(session), deadlineMs: sideReadDeadlineMs, retry: { retries: 0 } });
}

/** Opens a job's live stream from `cursor` on, or from its beginning. Ends with `signal`. */
export function openJobStream(session: Session, job: string, cursor: string | null, signal: AbortSignal) {
  return open(session, streamJob, { params: { job }, query: cursor === null ? {} : { cursor }, signal });
}

/** Opens the download of one result file. */
export function openArtifact(session: Session, job: string, artifact: string, signal: AbortSignal) {
  return open(session, downloadArtifact, { params: { job, artifact }, signal });
}

type StreamContract = typeof streamJob | typeof downloadArtifact;

function open(
  session: Session,
  contract: StreamContract,
  input: { params: unknown; query?: unknown; signal: AbortSignal },
): Promise<OpenStream> {
  return new Transport({ ...optionsFor(session), deadlineMs }).open(contract, input);
}

function optionsFor(session: Session) {
  return {
    baseUrl: getConfig().orchestratorUrl,
    token: session.token.reveal(),
    userAgent: 'computefabric-dashboard',
  };
}

export interface Failure {
  /** A sentence for people. */
  message: string;
  code: string | null;
  /** Which parts of the request are wrong. */
  fields: { path: string; message: string }[];
}

/** What to tell a person about a call that failed. Anything that is no answer of the market is thrown on. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof ApiError) {
    return { message: thrown.message, code: thrown.code, fields: thrown.fields ?? [] };
  }
  if (thrown instanceof UnreachableError) {
    const message = 'The market does not answer at the moment. Try again in a few seconds.';
    return { message, code: null, fields: [] };
  }
  throw thrown;
}
