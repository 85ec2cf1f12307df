import { Download, FileBox } from 'lucide-react';
import { Button } from '@/components/ui/button.tsx';
import { Card, CardContent, CardDescription, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import type { ArtifactView } from '@/types/job-view.ts';

/** More are behind the command line: a thousand rows would push everything else off the page. */
const shownFiles = 100;

interface ArtifactListProps {
  jobId: string;
  jobName: string;
  artifacts: ArtifactView[];
  isFinal: boolean;
}

export function ArtifactList({ jobId, jobName, artifacts, isFinal }: ArtifactListProps) {
  const total = artifacts.reduce((sum, artifact) => sum + artifact.sizeBytes, 0);
  return (
    <Card>
      <CardHeader>
        <CardTitle>Result files</CardTitle>
        {artifacts.length > 0 ? (
          <span className="text-xs text-muted-foreground tabular-nums">
            {artifacts.length} · {formatBytes(total)}
          </span>
        ) : null}
      </CardHeader>
      {artifacts.length === 0 ? (
        <CardContent>
          <CardDescription>
            {isFinal
              ? 'The program left no files in /outputs.'
              : 'Files that the program writes to /outputs appear here when it has ended.'}
          </CardDescription>
        </CardContent>
      ) : (
        <ul className="divide-y">
          {artifacts.slice(0, shownFiles).map((artifact) => (
            <li key={artifact.id} className="flex items-center gap-3 py-2 pr-2 pl-4 sm:pl-5">
              <FileBox aria-hidden className="size-4 shrink-0 text-muted-foreground" />
              <span className="min-w-0 flex-1">
                <span className="block truncate font-mono text-[0.8125rem]" title={artifact.path}>
                  {artifact.path}
                </span>
                <span
                  className="block truncate text-xs text-muted-foreground tabular-nums"
                  title={`SHA-256 ${artifact.sha256}`}
                >
                  {formatBytes(artifact.sizeBytes)} · {artifact.sha256.slice(0, 12)}
                </span>
              </span>
              <Button asChild variant="ghost" size="icon-sm">
                <a
                  href={`/api/jobs/${jobId}/artifacts/${artifact.id}`}
                  download
                  aria-label={`Download ${artifact.path}`}
                  title="Download"
                >
                  <Download aria-hidden />
                </a>
              </Button>
            </li>
          ))}
        </ul>
      )}
      {artifacts.length > shownFiles ? (
        <CardContent className="border-t">
          <CardDescription>
            {artifacts.length - shownFiles} more.{' '}
            <code className="font-mono">npx cfab artifacts {jobName}</code> downloads them all.
          </CardDescription>
        </CardContent>
      ) : null}
    </Card>
  );
}
