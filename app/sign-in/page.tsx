import { redirect } from 'next/navigation';
import { SignInForm } from '@/components/shell/sign-in-form.tsx';
import { Logo } from '@/components/shell/logo.tsx';
import { ThemeSwitch } from '@/components/shell/theme-switch.tsx';
import { Card, CardContent } from '@/components/ui/card.tsx';
import { getSession } from '@/lib/session.ts';

export const metadata = { title: 'Sign in' };

export default async function SignInPage() {
  if (await getSession()) redirect('/dashboard');
  return (
    <div className="weave flex min-h-dvh flex-col">
      <div className="flex justify-end p-4">
        <ThemeSwitch />
      </div>
      <main id="content" className="mx-auto flex w-full max-w-md flex-1 flex-col justify-center px-4 pb-24">
        <div className="mb-6 flex items-center gap-3">
          <Logo className="size-7 text-primary" />
          <span className="text-lg font-semibold tracking-tight">ComputeFabric</span>
        </div>
        <Card>
          <CardContent className="py-6 sm:px-6">
            <h1 className="text-xl font-semibold tracking-tight">Sign in</h1>
            <p className="mt-1 mb-6 text-sm text-muted-foreground">With an API key of this market.</p>
            <SignInForm />
          </CardContent>
        </Card>
      </main>
    </div>
  );
}
