'use server';

import { redirect } from 'next/navigation';
import { endSession } from '@/lib/session.ts';

/** Forgets the key that this browser signed in with. The key itself stays valid elsewhere. */
export async function signOut(): Promise<void> {
  await endSession();
  redirect('/sign-in');
}
