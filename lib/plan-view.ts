import type { Estimate, Quote, Waiting } from '@computefabric/protocol/user-api/quotes';
import type { WaitingView } from '../types/job-view.ts';
import type { PlanEstimate, PlanView } from '../types/plan-view.ts';
import { shortGpuName } from './hardware.ts';
import { countOf, formatMemory } from './format-size.ts';

/**
 * The API's quote in the form in which the page shows it.
 *
 * @param jobs how many of the quoted job are submitted together
 */
export function toPlanView(quote: Quote, jobs: number): PlanView {
  const holdMicros = BigInt(quote.hold_micros) * BigInt(jobs);
  const balanceMicros = BigInt(quote.balance_micros);
  return {
    jobs,
    offers: quote.offers.map((offer) => ({
      providerId: offer.provider_id,
      machineName: offer.provider_name,
      hardware:
        offer.gpu === null
          ? `${countOf(offer.cpus_free, 'core')} free, no GPU`
          : `${offer.gpus_free} of ${offer.gpus_total} × ${shortGpuName(offer.gpu)} free${offer.vram_mib ? `, ${formatMemory(offer.vram_mib)}` : ''}`,
      simulated: offer.simulated,
      microsPerHour: BigInt(offer.price_per_hour_micros),
    })),
    holdMicros,
    timeLimitSeconds: quote.time_limit_seconds,
    balanceMicros,
    affordable: balanceMicros >= holdMicros,
    playMoney: quote.play_money,
    waiting: quote.waiting ? toWaitingView(quote.waiting) : null,
    quoteId: quote.id,
    estimate: quote.estimate && toPlanEstimate(quote.estimate),
  };
}

function toPlanEstimate(estimate: Estimate): PlanEstimate {
  const moment = (text: string | null) => (text === null ? null : new Date(text));
  return {
    costLowMicros: BigInt(estimate.cost_low_micros),
    costHighMicros: BigInt(estimate.cost_high_micros),
    runLowSeconds: estimate.run_low_seconds,
    runHighSeconds: estimate.run_high_seconds,
    waitLowSeconds: estimate.wait_low_seconds,
    waitHighSeconds: estimate.wait_high_seconds,
    pastRuns: estimate.past_runs,
    finishEarliest: moment(estimate.finish_earliest),
    finishLatest: moment(estimate.finish_latest),
  };
}

export function toWaitingView(waiting: Waiting): WaitingView {
  const { position, machines, summary, filters, suggestion, expected_start: start } = waiting;
  const expectedStart = start === null ? null : new Date(start);
  return { position, machines, summary, filters, suggestion, expectedStart };
}
