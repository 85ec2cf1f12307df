import type { JobView } from '@computefabric/protocol/user-api/jobs';
import { Hourglass } from 'lucide-react';
import Link from 'next/link';
import { Card, CardContent } from '@/components/ui/card.tsx';

/** The group of a job, and for whom it waits while it is blocked. */
export function PlacePanel({ place }: { place: Pick<JobView, 'group' | 'waits_for'> }) {
  const { group, waits_for } = place;
  if (!group && waits_for.length === 0) return null;
  return (
    <Card aria-label="Place among other jobs">
      <CardContent className="flex flex-col gap-2 text-sm">
        {group ? (
          <p>
            {group.kind === 'gang' ? `Rank ${group.index} of ${group.size}` : `Member ${group.index}`} of{' '}
            <Link href={`/groups/${group.id}`} className="font-medium underline underline-offset-4">
              {group.name}
            </Link>
            {Object.entries(group.variables).map(([name, value]) => (
              <code key={name} className="ml-2 font-mono text-xs text-muted-foreground">
                {name}={value}
              </code>
            ))}
          </p>
        ) : null}
        {waits_for.map((sentence) => (
          <p key={sentence} className="flex items-start gap-2.5">
            <Hourglass aria-hidden className="mt-0.5 size-4 shrink-0 text-attention" />
            {sentence}
          </p>
        ))}
      </CardContent>
    </Card>
  );
}
