import type { Contract } from './contract.ts';
import * as leaseCheckpoints from './provider-api/v1/checkpoints.ts';
import * as leases from './provider-api/v1/leases.ts';
import * as session from './provider-api/v1/session.ts';
import * as account from './user-api/account.ts';
import * as artifacts from './user-api/artifacts.ts';
import * as billing from './user-api/billing.ts';
import * as budgets from './user-api/budgets.ts';
import * as checkpoints from './user-api/checkpoints.ts';
import * as disputes from './user-api/disputes.ts';
import * as earnings from './user-api/earnings.ts';
import * as groups from './user-api/groups.ts';
import * as jobs from './user-api/jobs.ts';
import * as logs from './user-api/logs.ts';
import * as machines from './user-api/machines.ts';
import * as operator from './user-api/operator.ts';
import * as quotes from './user-api/quotes.ts';
import * as receipts from './user-api/receipts.ts';
import * as schedules from './user-api/schedules.ts';

function contractsIn(module: Record<string, unknown>): Contract[] {
  return Object.values(module).filter(isContract);
}

function isContract(value: unknown): value is Contract {
  return typeof value === 'object' && value !== null && 'audience' in value && 'path' in value;
}

/** Every route of the market, in reading order: what OpenAPI is made from and what route tests walk over. */
export const allContracts: readonly Contract[] = [
  jobs,
  logs,
  artifacts,
  checkpoints,
  groups,
  schedules,
  quotes,
  receipts,
  disputes,
  machines,
  account,
  billing,
  budgets,
  earnings,
  operator,
  session,
  leases,
  leaseCheckpoints,
].flatMap(contractsIn);
