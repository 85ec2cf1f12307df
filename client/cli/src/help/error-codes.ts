import { type Blame, type ErrorCode, errorCodeList, errorCodeRow } from '@computefabric/protocol/error-codes';
import { type CliErrorCode, cliErrors } from '../errors/cli-error.ts';

/** Every code that this program can print, the server's and its own. */
export const knownErrorCodes: readonly string[] = [...errorCodeList, ...Object.keys(cliErrors)];

const blames: Record<Blame, string> = {
  renter: 'the request',
  provider: 'the machine',
  platform: 'the market',
  upstream: 'a service behind the market',
};

const advice = {
  never: 'the same request will be refused again',
  'same-request': 'send the same request again',
  later: 'try again later',
} as const;

/** What an error code means. */
export function errorCodeText(code: string): string[] {
  if (isApiCode(code)) {
    const { message, blame, retry } = errorCodeRow(code);
    return [code, `  ${message}`, `  comes from   ${blames[blame]}`, `  then         ${advice[retry]}`];
  }
  return [code, `  ${cliErrors[code as CliErrorCode]}`];
}

function isApiCode(code: string): code is ErrorCode {
  return (errorCodeList as readonly string[]).includes(code);
}
