'use client';

import { RotateCw, ServerCrash } from 'lucide-react';
import { Button } from '@/components/ui/button.tsx';
import { CopyButton } from '@/components/ui/copy-button.tsx';
import { Empty } from '@/components/ui/empty.tsx';

interface ErrorPanelProps {
  /** In production the message is Next's own; the digest finds the real one in the server's log. */
  error: Error & { digest?: string };
  /** Fetches the data and draws the page again. */
  retry: () => void;
}

export function ErrorPanel({ error, retry }: ErrorPanelProps) {
  const reference = error.digest ?? error.name;
  return (
    <div role="alert">
      <Empty
        icon={ServerCrash}
        title="This page could not be shown"
        titleAs="h1"
        action={
          <>
            <Button onClick={retry}>
              <RotateCw aria-hidden /> Try again
            </Button>
            <CopyButton
              value={`ComputeFabric dashboard error ${reference}`}
              label="Copy details"
              size="default"
            />
          </>
        }
      >
        <p>
          The server could not read what it needs, most often because the database or the orchestrator is
          restarting. Nothing you did is lost on the server.
        </p>
        <p className="mt-2 font-mono text-xs">Reference {reference}</p>
      </Empty>
    </div>
  );
}
