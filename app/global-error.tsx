'use client';

import './globals.css';

import { ErrorPanel } from '@/components/shell/error-panel.tsx';

/** The last resort: the root layout itself failed, so this page brings its own document. */
export default function GlobalError({ error }: { error: Error & { digest?: string } }) {
  return (
    <html lang="en">
      <body className="font-sans">
        <title>Something went wrong · ComputeFabric</title>
        <main className="mx-auto flex min-h-dvh max-w-xl flex-col justify-center p-6">
          <ErrorPanel error={error} retry={() => window.location.reload()} />
        </main>
      </body>
    </html>
  );
}
