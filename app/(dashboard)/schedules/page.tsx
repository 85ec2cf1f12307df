import type { ScheduleView } from '@computefabric/protocol/user-api/schedules';
import { CalendarClock, CirclePause, Power } from 'lucide-react';
import Link from 'next/link';
import { ScheduleSwitch } from '@/components/schedules/schedule-switch.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { StateBadge } from '@/components/shell/state-badge.tsx';
import { Card } from '@/components/ui/card.tsx';
import { Empty } from '@/components/ui/empty.tsx';
import { listSchedules } from '@/lib/schedules.ts';
import { requireSession } from '@/lib/session.ts';

export const metadata = { title: 'Schedules' };

const refreshMs = 15_000;

export default async function SchedulesPage() {
  const schedules = await listSchedules(await requireSession());
  return (
    <>
      <LiveRefresh active={schedules.some(({ state }) => state === 'active')} intervalMs={refreshMs} />
      <PageHeader title="Schedules" description="Jobs that are submitted again and again." />
      <Card>
        {schedules.length === 0 ? (
          <Empty icon={CalendarClock} title="No schedules yet">
            Make one from a terminal with{' '}
            <code className="font-mono text-foreground">npx cfab schedule create</code>.
          </Empty>
        ) : (
          <ul className="divide-y">
            {schedules.map((schedule) => (
              <Schedule key={schedule.id} schedule={schedule} />
            ))}
          </ul>
        )}
      </Card>
    </>
  );
}

function Schedule({ schedule }: { schedule: ScheduleView }) {
  const active = schedule.state === 'active';
  return (
    <li className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3 px-5 py-4">
      <div className="min-w-0">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="font-medium">{schedule.name}</span>
          <StateBadge
            look={
              active
                ? { icon: Power, word: 'Active', tone: 'success' }
                : { icon: CirclePause, word: 'Paused', tone: 'attention' }
            }
          />
        </p>
        <p className="mt-1 font-mono text-xs text-muted-foreground">
          {schedule.cron} · {schedule.timezone} · {schedule.image}
        </p>
        <p className="mt-2 text-sm">
          {schedule.next_at ? (
            <>
              Fires next <LocalTime at={new Date(schedule.next_at)} show="date-time" />.{' '}
            </>
          ) : null}
          {schedule.paused_because}
        </p>
        {schedule.last ? <LastFiring last={schedule.last} /> : null}
      </div>
      <ScheduleSwitch id={schedule.id} name={schedule.name} active={active} />
    </li>
  );
}

function LastFiring({ last }: { last: NonNullable<ScheduleView['last']> }) {
  return (
    <p className="mt-1 text-sm text-muted-foreground">
      Last time: <LocalTime at={new Date(last.due_at)} show="date-time" />,{' '}
      {last.job_id ? (
        <Link href={`/jobs/${last.job_id}`} className="underline underline-offset-4">
          {last.job_name}
        </Link>
      ) : (
        `${last.state}. ${last.detail ?? ''}`
      )}
    </p>
  );
}
