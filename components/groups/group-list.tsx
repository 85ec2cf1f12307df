import type { GroupSummary } from '@computefabric/protocol/user-api/groups';
import Link from 'next/link';
import { GroupProgress } from '@/components/groups/group-progress.tsx';
import { GroupStateBadge } from '@/components/groups/group-state-badge.tsx';
import { Card } from '@/components/ui/card.tsx';

/** Arrays and gangs, each as one row that stands for its members. */
export function GroupList({ groups }: { groups: GroupSummary[] }) {
  return (
    <Card aria-label="Groups" className="mb-6">
      <ul className="divide-y">
        {groups.map((group) => (
          <li
            key={group.id}
            className="relative grid gap-x-6 gap-y-2 px-5 py-3.5 hover:bg-accent/45 sm:grid-cols-[minmax(0,1fr)_8rem_minmax(0,1.5fr)] sm:items-center"
          >
            <div className="min-w-0">
              <Link
                href={`/groups/${group.id}`}
                className="block truncate font-medium after:absolute after:inset-0 focus-visible:outline-none focus-visible:after:outline-2 focus-visible:after:-outline-offset-2 focus-visible:after:outline-ring"
              >
                {group.name}
              </Link>
              <span className="block text-xs text-muted-foreground">
                {group.kind === 'gang' ? `on ${group.size} machines at once` : `array of ${group.size}`}
              </span>
            </div>
            <GroupStateBadge state={group.state} />
            <GroupProgress group={group} />
          </li>
        ))}
      </ul>
    </Card>
  );
}
