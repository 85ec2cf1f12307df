import Link from 'next/link';
import type { ReactNode } from 'react';
import { Balance } from '@/components/billing/balance.tsx';
import { Breadcrumb } from '@/components/shell/breadcrumb.tsx';
import { Logo } from '@/components/shell/logo.tsx';
import { MobileNav } from '@/components/shell/mobile-nav.tsx';
import { NavLinks } from '@/components/shell/nav-links.tsx';
import { ThemeSwitch } from '@/components/shell/theme-switch.tsx';
import { ViewerMenu } from '@/components/shell/viewer-menu.tsx';
import type { BalanceView, Viewer } from '@/types/market-view.ts';

interface AppShellProps {
  viewer: Viewer;
  /** Null when it could not be read: the page goes on without it. */
  balance: BalanceView | null;
  signOut: () => Promise<void>;
  children: ReactNode;
}

/** Frame of every signed-in page: sidebar, header, content. */
export function AppShell({ viewer, balance, signOut, children }: AppShellProps) {
  const brand = (
    <Link
      href="/dashboard"
      className="mb-6 flex h-15 items-center gap-3 border-b border-sidebar-border px-6 text-sidebar-active-foreground focus-visible:outline-sidebar-mark focus-visible:-outline-offset-2"
    >
      <Logo className="text-sidebar-mark" />
      <span className="text-[0.9375rem] font-semibold tracking-tight">ComputeFabric</span>
    </Link>
  );
  const footer = (
    <div className="mt-auto border-t border-sidebar-border px-6 py-4 text-xs text-sidebar-muted">
      <p className="truncate font-medium text-sidebar-foreground">{viewer.name}</p>
      <p className="mt-0.5 truncate">
        {viewer.isLocalOperator ? 'This machine · no sign-in needed' : viewer.email}
      </p>
    </div>
  );
  return (
    <div className="flex min-h-dvh">
      <a
        href="#content"
        className="sr-only z-60 rounded-md bg-primary px-4 py-2 text-sm font-medium text-primary-foreground focus:not-sr-only focus:fixed focus:top-3 focus:left-3 focus:px-4 focus:py-2"
      >
        Skip to content
      </a>
      <aside className="sticky top-0 hidden h-dvh w-60 shrink-0 flex-col bg-sidebar text-sidebar-foreground lg:flex">
        {brand}
        <NavLinks />
        {footer}
      </aside>
      <div className="flex min-w-0 flex-1 flex-col">
        <header className="sticky top-0 z-30 flex h-15 items-center gap-3 border-b bg-background px-4 sm:px-6 lg:px-8">
          <MobileNav header={brand} footer={footer} />
          <Breadcrumb />
          <div className="ml-auto flex shrink-0 items-center gap-1 sm:gap-2">
            {balance ? <Balance balance={balance} /> : null}
            <ThemeSwitch />
            <ViewerMenu viewer={viewer} signOut={signOut} />
          </div>
        </header>
        <main
          id="content"
          tabIndex={-1}
          className="mx-auto w-full max-w-7xl flex-1 px-4 py-6 outline-none sm:px-6 lg:px-8 lg:py-8"
        >
          {children}
        </main>
      </div>
    </div>
  );
}
