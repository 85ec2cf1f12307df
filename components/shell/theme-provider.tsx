'use client';

import { ThemeProvider as NextThemesProvider } from 'next-themes';
import { type ReactNode, useState } from 'react';

/**
 * Light, dark or the system's choice, set by an inline script before the first paint.
 *
 * The nonce must stay that of the first page: a refresh renders the layout again with a new nonce, but the
 * browser goes on enforcing the policy that came with the document.
 */
export function ThemeProvider({ nonce, children }: { nonce: string | undefined; children: ReactNode }) {
  const [firstNonce] = useState(nonce);
  return (
    <NextThemesProvider
      attribute="class"
      defaultTheme="system"
      enableSystem
      disableTransitionOnChange
      nonce={firstNonce}
    >
      {children}
    </NextThemesProvider>
  );
}
