import { Agent, request } from 'node:http';
import { bearerToken, hashSecret } from '@computefabric/protocol/api-key';

/*
 * Machines without containers, many in one process: each holds a long poll and beats its heart over real HTTP.
 * What it is offered it accepts; with `finish` it also reports start, exit, end and release at once.
 * Started as a process of its own, so that its work is not taken for the orchestrator's.
 */

/** Every simulated machine has the same secret: it guards nothing. */
export const benchSecret = 'b'.repeat(43);
export const benchSecretHash = hashSecret(benchSecret);

export interface AgentsOrder {
  url: string;
  /** Ids of machines with an open session number 1. */
  providerIds: string[];
  heartbeatSeconds: number;
  finish: boolean;
}

export type AgentsNews =
  | { kind: 'connected' }
  | { kind: 'accepted'; jobIds: string[]; failed: number; atMs: number };

interface Offer {
  lease_id: string;
  fence: number;
  job_id: string;
}

const sockets = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

function postOnce(
  url: string,
  headers: Record<string, string>,
  body: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      { method: 'POST', agent: sockets, headers: { 'content-type': 'application/json', ...headers } },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString() }),
        );
        answer.on('error', reject);
      },
    );
    call.on('error', reject);
    call.end(body);
  });
}

/** Once more on a connection that the server had given up at the same moment: every call may be repeated. */
async function post(
  url: string,
  headers: Record<string, string>,
  body: string,
): Promise<{ status: number; text: string }> {
  return await postOnce(url, headers, body).catch(() => postOnce(url, headers, body));
}

async function runAgent(
  order: AgentsOrder,
  providerId: string,
  tell: (jobId: string | null) => void,
): Promise<void> {
  const credential = bearerToken('provider', providerId.slice('prov_'.length), benchSecret);
  const headers = { authorization: `Bearer ${credential}`, 'computefabric-session': '1' };
  const base = `${order.url}/provider/v1`;
  const beat = setInterval(
    () => void post(`${base}/heartbeat`, headers, '{"tasks":[]}').catch(() => tell(null)),
    order.heartbeatSeconds * 1_000 * (0.9 + 0.2 * Math.random()),
  );
  for (;;) {
    const answer = await post(`${base}/poll`, headers, '{}').catch(() => null);
    if (answer?.status !== 200) {
      tell(null);
      if (answer === null) break; // the market has gone: the measurement is over
      continue;
    }
    const { offers } = JSON.parse(answer.text) as { offers: Offer[] };
    // As the agent does: it does not ask again before it has answered what it was offered.
    await Promise.all(
      offers.map(async (offer) => {
        tell(await take(order, base, headers, offer).catch(() => null));
      }),
    );
  }
  clearInterval(beat);
}

/** The job's id once it is this machine's; null when something was refused. */
async function take(
  { finish }: AgentsOrder,
  base: string,
  session: Record<string, string>,
  offer: Offer,
): Promise<string | null> {
  const headers = { ...session, 'computefabric-fence': String(offer.fence) };
  const lease = `${base}/leases/${offer.lease_id}`;
  const accepted = await post(`${lease}/accept`, headers, '{}');
  if (accepted.status !== 200) return null;
  if (finish) {
    await post(`${lease}/started`, headers, '{"image_digest":null}');
    await post(`${lease}/exited`, headers, '{"exit_code":0}');
    await post(
      `${lease}/ended`,
      headers,
      '{"reason":"exited-zero","detail":null,"exit_code":0,"log_chunks":0}',
    );
    await post(`${lease}/released`, headers, '{}');
  }
  return offer.job_id;
}

process.on('message', (order: AgentsOrder) => {
  let jobIds: string[] = [];
  let failed = 0;
  const tell = (jobId: string | null) => {
    if (jobId === null) failed += 1;
    else jobIds.push(jobId);
  };
  for (const id of order.providerIds) void runAgent(order, id, tell);
  setInterval(() => {
    if (jobIds.length + failed === 0) return;
    process.send?.({ kind: 'accepted', jobIds, failed, atMs: Date.now() } satisfies AgentsNews);
    jobIds = [];
    failed = 0;
  }, 20);
  process.send?.({ kind: 'connected' } satisfies AgentsNews);
});
