import type { Audience } from '@computefabric/protocol/contract';
import type { ApiKeyId, ProviderId, UserId } from '@computefabric/protocol/ids';
import type { UserRole } from '@computefabric/protocol/user-api/account';
import type { Request } from 'express';

export interface UserCaller {
  userId: UserId;
  keyId: ApiKeyId;
  role: UserRole;
}

export interface ProviderCaller {
  providerId: ProviderId;
}

/** Somebody with a join token that is good but not yet spent: the use case spends it in its transaction. */
export interface JoinCaller {
  keyId: ApiKeyId;
  ownerId: UserId;
}

/** Who is asking, by a route's audience. */
export interface Callers {
  user: UserCaller;
  provider: ProviderCaller;
  join: JoinCaller;
  public: undefined;
}

/** For each audience, how a request proves who sent it; throws the AppError of a refusal. */
export type Authenticators = { [A in Audience]: (request: Request) => Promise<Callers[A]> };
