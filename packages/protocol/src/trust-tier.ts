import { z } from 'zod';

/**
 * How far the operator vouches for a machine, lowest first: anybody's, one whose owner the operator has checked,
 * one that the operator answers for.
 */
export const trustTiers = ['community', 'verified', 'trusted'] as const;
export const trustTier = z.enum(trustTiers).meta({ id: 'TrustTier' });
export type TrustTier = z.infer<typeof trustTier>;

/** Whether `tier` is at least `least`. */
export function isAtLeastTier(tier: TrustTier, least: TrustTier): boolean {
  return trustTiers.indexOf(tier) >= trustTiers.indexOf(least);
}
