'use client';

import { useActionState } from 'react';
import { type SignInState, signIn } from '@/actions/sign-in.ts';
import { Button } from '@/components/ui/button.tsx';
import { Field } from '@/components/ui/field.tsx';
import { Input } from '@/components/ui/input.tsx';

export function SignInForm() {
  const [state, action, pending] = useActionState<SignInState, FormData>(signIn, { error: null });
  return (
    <form action={action} className="flex flex-col gap-5">
      <Field
        name="key"
        label="API key"
        error={state.error ?? undefined}
        hint="The operator of this market gives you one."
      >
        {(control) => (
          <Input
            {...control}
            type="password"
            autoComplete="current-password"
            spellCheck={false}
            required
            className="h-10 font-mono"
          />
        )}
      </Field>
      <Button type="submit" size="lg" disabled={pending}>
        {pending ? 'Checking…' : 'Sign in'}
      </Button>
    </form>
  );
}
