import './globals.css';

import { GeistMono } from 'geist/font/mono';
import { GeistSans } from 'geist/font/sans';
import type { Metadata, Viewport } from 'next';
import { headers } from 'next/headers';
import type { ReactNode } from 'react';
import { StyleNonce } from '@/components/shell/style-nonce.tsx';
import { ThemeProvider } from '@/components/shell/theme-provider.tsx';
import { LazyToaster } from '@/components/ui/lazy-toaster.tsx';

export const metadata: Metadata = {
  title: { default: 'ComputeFabric', template: '%s · ComputeFabric' },
  description: 'Run containers on idle GPUs and pay for the seconds.',
  // A market has private pages only.
  robots: { index: false },
};

export const viewport: Viewport = {
  themeColor: [
    { media: '(prefers-color-scheme: light)', color: '#f6f8f5' },
    { media: '(prefers-color-scheme: dark)', color: '#0c1417' },
  ],
};

export default async function RootLayout({ children }: { children: ReactNode }) {
  const nonce = (await headers()).get('x-nonce') ?? undefined;
  return (
    // The theme's inline script sets a class before React starts, which React must not take for a mistake.
    <html lang="en" suppressHydrationWarning className={`${GeistSans.variable} ${GeistMono.variable}`}>
      <body className="font-sans">
        <StyleNonce nonce={nonce} />
        <ThemeProvider nonce={nonce}>
          {children}
          <LazyToaster />
        </ThemeProvider>
      </body>
    </html>
  );
}
