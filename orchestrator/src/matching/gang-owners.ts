import type { UserId } from '@computefabric/protocol/ids';

/** What decides whose machines may run a gang together. */
export interface GangOwners {
  /** The account that pays for it. */
  renterId: UserId;
  /** Owners whose machines spoiled a started rank of it before. */
  spoiledBy: readonly UserId[];
}

/**
 * The sets of owners on whose machines a gang may be placed, in the order in which they are tried; each says of an
 * owner whether it belongs to the set.
 *
 * The loss of one rank makes the tries of all others free. Whoever decides about such a loss, the renter with a
 * machine of his own or an owner who has lost one before, could so have strangers work unpaid again and again.
 * Their machines are therefore taken only among themselves, where nobody else is harmed.
 */
export function ownerSets({ renterId, spoiledBy }: GangOwners): ((ownerId: UserId) => boolean)[] {
  const apart = [...new Set([renterId, ...spoiledBy])];
  return [(ownerId) => !apart.includes(ownerId), ...apart.map((one) => (ownerId: UserId) => ownerId === one)];
}
