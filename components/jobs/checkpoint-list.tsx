import { Save } from 'lucide-react';
import { Card, CardContent, CardDescription, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { Ago } from '@/components/shell/ago.tsx';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import type { CheckpointItem } from '@/types/job-view.ts';

interface CheckpointListProps {
  directory: string;
  checkpoints: CheckpointItem[];
  now: Date;
}

/** State of the job that outlives its machine. */
export function CheckpointList({ directory, checkpoints, now }: CheckpointListProps) {
  return (
    <Card>
      <CardHeader>
        <CardTitle>Saved state</CardTitle>
        <span className="font-mono text-xs text-muted-foreground">{directory}</span>
      </CardHeader>
      {checkpoints.length === 0 ? (
        <CardContent>
          <CardDescription>Nothing is kept of it now.</CardDescription>
        </CardContent>
      ) : (
        <ul className="divide-y">
          {checkpoints.map((checkpoint) => (
            <li key={checkpoint.id} className="flex items-center gap-3 py-2 pr-2 pl-4 sm:pl-5">
              <Save aria-hidden className="size-4 shrink-0 text-muted-foreground" />
              <span className="min-w-0 flex-1">
                <span className="block truncate text-[0.8125rem]">
                  {stateText(checkpoint)} <Ago at={checkpoint.takenAt} now={now} />
                </span>
                <span className="block truncate text-xs text-muted-foreground tabular-nums">
                  try {checkpoint.attempt} · {formatBytes(checkpoint.sizeBytes)} · {checkpoint.files}{' '}
                  {checkpoint.files === 1 ? 'file' : 'files'}
                </span>
              </span>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function stateText({ isDamaged, isNext }: CheckpointItem): string {
  if (isDamaged) return 'Damaged, not used:';
  return isNext ? 'The next try goes on from' : 'To fall back on:';
}
