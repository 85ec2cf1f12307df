import { get } from 'node:http';

/**
 * The few questions that start-up asks the orchestrator. Answers are read with plain property
 * checks: this runs before the typed client could be loaded.
 *
 * @param {string} url @param {string} token
 */
export function createMarketApi(url, token) {
  /** @param {string} path @returns {Promise<any>} */
  const read = async (path) => {
    const { status, text } = await httpGet(`${url}${path}`, 5, { authorization: `Bearer ${token}` });
    if (status !== 200) throw new Error(`GET ${path} answered ${status}`);
    return JSON.parse(text);
  };
  return {
    /** Machines of this account. @returns {Promise<Machine[]>} */
    machines: async () => (await read('/v1/providers')).items,
    /** @returns {Promise<{ currency: string, play_money: boolean, available_micros: string, held_micros: string }>} */
    balance: () => read('/v1/balance'),
    /** @param {string} name @returns {Promise<JobAnswer>} */
    job: (name) => read(`/v1/jobs/${encodeURIComponent(name)}`),
  };
}

/**
 * @typedef {object} Machine
 * @property {string} id
 * @property {string} name
 * @property {string} state
 * @property {string | null} last_seen_at
 * @property {{ name: string, simulated: boolean }[]} gpus
 *
 * @typedef {object} JobAnswer
 * @property {string} id
 * @property {string} name
 * @property {string} state
 * @property {string | null} end_message
 * @property {{ currency: string, play_money: boolean, accrued_micros: string, billed_ms: number, payment_state: string }} cost
 * @property {{ price_per_hour_micros: string, billed_ms: number, cost_micros: string, provider: { name: string }, gpus: { name: string, simulated: boolean }[] }[]} leases
 *
 * @typedef {ReturnType<typeof createMarketApi>} MarketApi
 */

/**
 * True when a GET is answered with a 2xx or 3xx within two seconds.
 * @param {string} url
 */
export async function answers(url) {
  try {
    return (await httpGet(url, 2)).status < 400;
  } catch {
    return false; // Not there yet.
  }
}

/**
 * Not fetch(): that keeps its connections open, and a server that is asked to stop waits for them.
 *
 * @param {string} url
 * @param {number} deadlineSeconds
 * @param {Record<string, string>} [headers]
 * @returns {Promise<{ status: number, text: string }>}
 */
function httpGet(url, deadlineSeconds, headers = {}) {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(deadlineSeconds * 1000);
    const call = get(url, { agent: false, headers, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    call.on('error', reject);
  });
}
