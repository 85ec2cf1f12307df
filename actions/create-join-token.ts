'use server';

import { failureOf, orchestratorAs } from '@/lib/orchestrator.ts';
import { requireSession } from '@/lib/session.ts';

export type JoinTokenResult =
  | { kind: 'token'; token: string; expiresAt: Date }
  | { kind: 'refused'; message: string };

/** Makes a secret with which one machine can join as the viewer's, once, within 15 minutes. */
export async function createJoinToken(): Promise<JoinTokenResult> {
  const session = await requireSession();
  try {
    const { token, expires_at } = await orchestratorAs(session).machines.createJoinToken();
    return { kind: 'token', token, expiresAt: new Date(expires_at) };
  } catch (thrown) {
    return { kind: 'refused', message: failureOf(thrown).message };
  }
}
