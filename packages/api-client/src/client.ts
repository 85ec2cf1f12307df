import { accountCalls } from './account.ts';
import { artifactCalls } from './artifacts.ts';
import { billingCalls } from './billing.ts';
import { budgetCalls } from './budgets.ts';
import { disputeCalls } from './disputes.ts';
import { earningsCalls } from './earnings.ts';
import { groupCalls } from './groups.ts';
import { jobCalls } from './jobs.ts';
import { logCalls } from './logs.ts';
import { machineCalls } from './machines.ts';
import { offerCalls } from './offers.ts';
import { receiptCalls } from './receipts.ts';
import { scheduleCalls } from './schedules.ts';
import { Transport, type TransportOptions } from './transport.ts';

export type ClientOptions = TransportOptions;
export type Client = ReturnType<typeof createClient>;

/**
 * The market's user API as functions: `client.jobs.create(spec)`. Every call has a deadline, checks the
 * reply against its contract and throws an ApiError, an UnreachableError or an UnexpectedReplyError.
 *
 * @throws TypeError when `baseUrl` is not an http or https address.
 */
export function createClient(options: ClientOptions) {
  const transport = new Transport(options);
  return {
    /** Any contract, for callers that have it as a value. */
    call: transport.call.bind(transport),
    jobs: jobCalls(transport),
    logs: logCalls(transport),
    groups: groupCalls(transport),
    schedules: scheduleCalls(transport),
    artifacts: artifactCalls(transport),
    receipts: receiptCalls(transport),
    disputes: disputeCalls(transport),
    offers: offerCalls(transport),
    machines: machineCalls(transport),
    account: accountCalls(transport),
    billing: billingCalls(transport),
    budgets: budgetCalls(transport),
    earnings: earningsCalls(transport),
  };
}
