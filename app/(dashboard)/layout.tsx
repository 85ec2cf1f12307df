import type { ReactNode } from 'react';
import { signOut } from '@/actions/sign-out.ts';
import { AppShell } from '@/components/shell/app-shell.tsx';
import { getBalance } from '@/lib/balance.ts';
import { requireSession } from '@/lib/session.ts';

export default async function DashboardLayout({ children }: { children: ReactNode }) {
  const { viewer } = await requireSession();
  return (
    <AppShell viewer={viewer} balance={await getBalance()} signOut={signOut}>
      {children}
    </AppShell>
  );
}
