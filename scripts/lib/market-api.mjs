/**
 * The few questions that start-up asks the orchestrator. Answers are read with plain property
 * checks: this runs before the typed client could be loaded.
 *
 * @param {string} url @param {string} token
 */
export function createMarketApi(url, token) {
  /** @param {string} path @returns {Promise<any>} */
  const get = async (path) => {
    const response = await fetch(`${url}${path}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(5000),
    });
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}`);
    return response.json();
  };
  return {
    /** Machines of this account. @returns {Promise<{ id: string, name: string, state: string, gpus: { name: string, simulated: boolean }[] }[]>} */
    machines: async () => (await get('/v1/providers')).items,
    /** @returns {Promise<{ currency: string, play_money: boolean, available_micros: string, held_micros: string }>} */
    balance: () => get('/v1/balance'),
    /** @param {string} name @returns {Promise<JobAnswer>} */
    job: (name) => get(`/v1/jobs/${encodeURIComponent(name)}`),
  };
}

/**
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
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(2000) });
    await response.body?.cancel();
    return response.status < 400;
  } catch {
    return false; // Not there yet.
  }
}
