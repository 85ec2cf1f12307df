import { Cpu } from 'lucide-react';
import Link from 'next/link';
import { JobStateBadge } from '@/components/jobs/job-state-badge.tsx';
import { ProviderStateBadge, providerStateMeaning } from '@/components/providers/provider-state-badge.tsx';
import { OwnerNoticeLine } from '@/components/providers/owner-notice-line.tsx';
import { AvailabilityMenu } from '@/components/providers/availability-menu.tsx';
import { Ago } from '@/components/shell/ago.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { RunningTime } from '@/components/shell/running-time.tsx';
import { Badge } from '@/components/ui/badge.tsx';
import { Card } from '@/components/ui/card.tsx';
import { formatMoney, formatRate } from '@/lib/format-money.ts';
import { countOf, formatMemory } from '@/lib/format-size.ts';
import { shortGpuName } from '@/lib/hardware.ts';
import type { MachineView } from '@/types/market-view.ts';

/** One machine of an owner: what it is, what it does now, what it has earned. */
export function MachineCard({ machine, now }: { machine: MachineView; now: Date }) {
  return (
    <Card aria-label={`Machine ${machine.name}`} className="overflow-hidden">
      <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3 border-b px-4 py-4 sm:px-5">
        <div className="min-w-0">
          <div className="flex flex-wrap items-center gap-3">
            <h3 className="truncate text-base font-semibold tracking-tight">{machine.name}</h3>
            <ProviderStateBadge state={machine.state} />
            {machine.availability === 'open' ? null : (
              <Badge tone="attention">{machine.availability === 'paused' ? 'paused' : 'being emptied'}</Badge>
            )}
          </div>
          <p className="mt-1 text-[0.8125rem] text-muted-foreground">
            {machine.state === 'online' ? null : `${providerStateMeaning(machine.state)} `}
            {machine.lastSeenAt ? (
              <>
                Last heard from <Ago at={machine.lastSeenAt} now={now} />
              </>
            ) : (
              'Never heard from'
            )}
            {machine.agentVersion === '' ? '' : ` · agent ${machine.agentVersion}`}
            {` · reliability ${(machine.reliability * 100).toFixed(1)} %`}
          </p>
          <Wishes machine={machine} />
          {machine.state === 'online' ? <OwnerNoticeLine notice={machine.ownerNotice} /> : null}
        </div>
        <div className="flex flex-col gap-3 sm:items-end">
          <dl className="sm:text-right">
            <dt className="eyebrow text-muted-foreground">Earned so far</dt>
            <dd className="mt-0.5 text-xl font-semibold tracking-tight">
              {formatMoney(machine.earnedMicros)}
            </dd>
          </dl>
          <AvailabilityMenu
            machineId={machine.id}
            machineName={machine.name}
            isOpen={machine.availability === 'open'}
            isAbsencePlanned={machine.awayFrom !== null}
          />
        </div>
      </div>
      <div className="grid grid-cols-1 gap-px bg-border md:grid-cols-2">
        <div className="bg-card px-4 py-4 sm:px-5">
          <h4 className="eyebrow mb-2.5 text-muted-foreground">Hardware</h4>
          <ul className="flex flex-col gap-2 text-sm">
            {machine.gpus.map((gpu) => (
              <li key={gpu.id} className="flex flex-wrap items-center gap-x-2 gap-y-1">
                <GpuMark />
                <span className="font-medium">{shortGpuName(gpu.name)}</span>
                <span className="text-muted-foreground">{formatMemory(gpu.memoryMib)}</span>
                {gpu.simulated ? <Badge tone="outline">simulated</Badge> : null}
                <span className="ml-auto text-xs text-muted-foreground">{gpu.jobId ? 'busy' : 'free'}</span>
              </li>
            ))}
            <li className="flex flex-wrap items-center gap-2">
              <Cpu aria-hidden className="size-4 text-muted-foreground" />
              <span>
                {countOf(machine.cpus, 'core')}, {formatMemory(machine.memoryMib)}
              </span>
            </li>
          </ul>
          <p className="mt-3 text-[0.8125rem] text-muted-foreground">
            {machine.gpus.length > 0 ? (
              <>
                <span className="font-medium text-foreground tabular-nums">
                  {formatRate(machine.pricePerGpuHourMicros)}
                </span>{' '}
                per GPU ·{' '}
              </>
            ) : null}
            <span className="font-medium text-foreground tabular-nums">
              {formatRate(machine.pricePerCpuHourMicros)}
            </span>{' '}
            per core of CPU jobs
          </p>
        </div>
        <div className="bg-card px-4 py-4 sm:px-5">
          <div className="mb-2.5 flex items-baseline justify-between gap-3">
            <h4 className="eyebrow text-muted-foreground">Runs now</h4>
            <Link
              href={`/gpu-owners/${machine.id}`}
              className="text-xs text-muted-foreground underline underline-offset-4 hover:text-foreground"
            >
              All it was given<span className="sr-only">: {machine.name}</span>
            </Link>
          </div>
          {machine.running.length === 0 ? (
            <p className="text-sm text-muted-foreground">
              {machine.state === 'online' &&
              machine.availability === 'open' &&
              machine.ownerNotice?.accepts_work !== false
                ? 'Nothing. Ready for a job.'
                : 'Nothing.'}
            </p>
          ) : (
            <ul className="flex flex-col gap-3 text-sm">
              {machine.running.map((job) => (
                <li key={job.jobId} className="flex flex-wrap items-center justify-between gap-x-3 gap-y-1">
                  <span className="min-w-0 flex-1 truncate font-mono text-[0.8125rem]">
                    {job.isOwn ? (
                      <Link
                        href={`/jobs/${job.jobId}`}
                        className="underline underline-offset-4 hover:text-primary"
                      >
                        {job.image}
                      </Link>
                    ) : (
                      job.image
                    )}
                  </span>
                  <JobStateBadge state={job.state} />
                  {job.startedAt ? (
                    <span className="text-xs text-muted-foreground">
                      <RunningTime from={job.startedAt} to={null} now={now} />
                    </span>
                  ) : null}
                </li>
              ))}
            </ul>
          )}
        </div>
      </div>
    </Card>
  );
}

/** What its owner wants of it, when that is anything but work. */
function Wishes({ machine }: { machine: MachineView }) {
  const { availability, availabilityReason, availableAt, vacateBy, awayFrom, awayUntil } = machine;
  if (availability === 'open' && !awayFrom) return null;
  return (
    <p className="mt-1 text-[0.8125rem] text-muted-foreground">
      {availability === 'paused' ? (
        <>
          Takes no new work
          {availableAt ? (
            <>
              {' '}
              until <LocalTime at={availableAt} />
            </>
          ) : null}
          .{' '}
        </>
      ) : null}
      {availability === 'draining' && vacateBy ? (
        <>
          Takes no new work; what still runs at <LocalTime at={vacateBy} /> moves.{' '}
        </>
      ) : null}
      {awayFrom && awayUntil ? (
        <>
          Away from <LocalTime at={awayFrom} /> to <LocalTime at={awayUntil} />.{' '}
        </>
      ) : null}
      {availabilityReason}
    </p>
  );
}

/** A card seen from above: board, fan, connector. The icon set has none. */
function GpuMark() {
  return (
    <svg
      aria-hidden
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      className="size-4 text-muted-foreground"
    >
      <rect x="2" y="6" width="20" height="11" rx="2" />
      <circle cx="14.5" cy="11.5" r="2.75" />
      <path d="M6 10v3M6 17v3M10 17v3" />
    </svg>
  );
}
