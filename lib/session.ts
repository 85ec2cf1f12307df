import 'server-only';

import { Secret } from '@computefabric/runtime/secret';
import { cookies, headers } from 'next/headers';
import { redirect } from 'next/navigation';
import { cache } from 'react';
import type { Viewer } from '@/types/market-view.ts';
import { getConfig } from './config.ts';
import { getDb } from './db.ts';
import { isLocalRequest } from './local-request.ts';
import { findViewer } from './queries/find-viewer.ts';

/** Holds the API key. Unreadable for scripts, and not sent along by other sites' forms and frames. */
const cookieName = 'cf_session';
/** After this the key has to be pasted again; the key itself may end earlier. */
const cookieLifetimeSeconds = 30 * 86_400;

export interface Session {
  viewer: Viewer;
  /** The viewer's own key, with which the orchestrator is called for them. Never leaves the server. */
  token: Secret;
}

/** Who is looking, checked against the database once per request; null when nobody has signed in. */
export const getSession = cache(async (): Promise<Session | null> => {
  const requestHeaders = await headers();
  const pasted = (await cookies()).get(cookieName)?.value;
  if (pasted !== undefined) {
    const owner = await findViewer(getDb(), pasted);
    if (owner) return { viewer: { ...owner, isLocalOperator: false }, token: new Secret(pasted) };
  }
  const { localToken } = getConfig();
  if (!localToken || !isLocalRequest(requestHeaders)) return null;
  const operator = await findViewer(getDb(), localToken.reveal());
  return operator ? { viewer: { ...operator, isLocalOperator: true }, token: localToken } : null;
});

/** For pages: the viewer, or the way to the sign-in page. */
export async function requireSession(): Promise<Session> {
  return (await getSession()) ?? redirect('/sign-in');
}

/** Checks a pasted API key and, when it is good, keeps it in the cookie. False when it is not. */
export async function startSession(token: string): Promise<boolean> {
  if (!(await findViewer(getDb(), token))) return false;
  const isHttps = (await headers()).get('x-forwarded-proto') === 'https';
  (await cookies()).set(cookieName, token, {
    httpOnly: true,
    sameSite: 'lax',
    secure: isHttps,
    path: '/',
    maxAge: cookieLifetimeSeconds,
  });
  return true;
}

export async function endSession(): Promise<void> {
  (await cookies()).delete(cookieName);
}
