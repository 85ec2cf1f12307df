'use server';

import { redirect } from 'next/navigation';
import { z } from 'zod';
import { startSession } from '@/lib/session.ts';

export interface SignInState {
  /** What was wrong with the key. The key itself is never sent back to the page. */
  error: string | null;
}

const form = z.object({
  key: z.string().trim().min(1, 'Paste your API key.').max(256, 'That is not an API key.'),
});

/** Signs in with a pasted API key. Wrong, revoked and expired keys get the same answer. */
export async function signIn(_previous: SignInState, formData: FormData): Promise<SignInState> {
  const parsed = form.safeParse({ key: formData.get('key') });
  if (!parsed.success) return { error: parsed.error.issues[0]?.message ?? 'Paste your API key.' };
  if (!(await startSession(parsed.data.key))) {
    return {
      error:
        'This key is not valid, has expired or was revoked. A key starts with cf_ and is 73 characters long.',
    };
  }
  redirect('/dashboard');
}
