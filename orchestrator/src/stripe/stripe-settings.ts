import { secretSetting } from '@computefabric/runtime/secret';
import { z } from 'zod';
import { currencyProblem } from './cents.ts';

/** Where Stripe is. */
export interface StripeAddress {
  protocol: 'http' | 'https';
  host: string;
  port: number;
}

const realAddress: StripeAddress = { protocol: 'https', host: 'api.stripe.com', port: 443 };

export const stripeSecretSetting = secretSetting.refine(
  (key) => /^(sk|rk)_(test|live)_\w+$/.test(key.reveal()),
  'must be a secret key of Stripe such as sk_test_…',
);

/** Scheme, host and port, nothing else. */
export const stripeBaseSetting = z
  .url({ protocol: /^https?$/, message: 'must be an http or https address such as http://127.0.0.1:12111' })
  .transform((text, context): StripeAddress => {
    const { protocol, hostname, port, pathname, search, hash, username } = new URL(text);
    if (pathname !== '/' || search !== '' || hash !== '' || username !== '') {
      context.addIssue({ code: 'custom', message: 'takes a scheme, a host and a port, and nothing else' });
      return z.NEVER;
    }
    const isHttp = protocol === 'http:';
    return { protocol: isHttp ? 'http' : 'https', host: hostname, port: Number(port || (isHttp ? 80 : 443)) };
  })
  .default(realAddress);

export const stripeCurrencySetting = z
  .string()
  .transform((text) => text.toLowerCase())
  .superRefine((currency, context) => {
    const problem = currencyProblem(currency);
    if (problem !== null) context.addIssue({ code: 'custom', message: problem });
  })
  .default('usd');

/** A live key is for Stripe alone: what stands in for it must never see one. */
export function isLiveKeyElsewhere(key: string, address: StripeAddress): boolean {
  const isReal = address.protocol === 'https' && address.host === realAddress.host;
  return /_live_/.test(key) && !isReal;
}
