import { endReasonRow } from '@computefabric/protocol/end-reason';
import { LeaseStateBadge } from '@/components/jobs/lease-state-badge.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { RunningTime } from '@/components/shell/running-time.tsx';
import { Badge } from '@/components/ui/badge.tsx';
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '@/components/ui/table.tsx';
import { formatMoney, formatRate } from '@/lib/format-money.ts';
import { describeGpus } from '@/lib/hardware.ts';
import type { AttemptView } from '@/types/job-view.ts';

/** Every try on a machine, also those that went wrong and were not billed. Cards where no table fits. */
export function AttemptsTable({ attempts, now }: { attempts: AttemptView[]; now: Date }) {
  if (attempts.length === 0) {
    return <p className="px-5 py-6 text-sm text-muted-foreground">No machine has tried it yet.</p>;
  }
  return (
    <>
      <div className="hidden md:block">
        <Table>
          <TableHeader>
            <TableRow>
              <TableHead>Try</TableHead>
              <TableHead>Machine</TableHead>
              <TableHead>State</TableHead>
              <TableHead>Started</TableHead>
              <TableHead className="text-right">Ran</TableHead>
              <TableHead className="text-right">Price</TableHead>
              <TableHead className="text-right">Cost</TableHead>
            </TableRow>
          </TableHeader>
          <TableBody>
            {attempts.map((attempt) => (
              <TableRow key={attempt.id}>
                <TableCell>{attempt.number}</TableCell>
                <TableCell>
                  <Machine attempt={attempt} />
                </TableCell>
                <TableCell className="max-w-80">
                  <Outcome attempt={attempt} />
                </TableCell>
                <TableCell>
                  {attempt.startedAt ? <LocalTime at={attempt.startedAt} show="time" /> : '–'}
                </TableCell>
                <TableCell className="text-right">
                  <Ran attempt={attempt} now={now} />
                </TableCell>
                <TableCell className="text-right whitespace-nowrap">
                  {formatRate(attempt.microsPerHour)}
                </TableCell>
                <TableCell className="text-right whitespace-nowrap">{cost(attempt)}</TableCell>
              </TableRow>
            ))}
          </TableBody>
        </Table>
      </div>
      <ol className="divide-y md:hidden">
        {attempts.map((attempt) => (
          <li key={attempt.id} className="flex flex-col gap-2 px-4 py-4 text-sm">
            <div className="flex items-start justify-between gap-3">
              <Machine attempt={attempt} />
              <span className="text-muted-foreground">try {attempt.number}</span>
            </div>
            <Outcome attempt={attempt} />
            <p className="flex flex-wrap gap-x-4 text-[0.8125rem] text-muted-foreground tabular-nums">
              {attempt.startedAt ? (
                <span>
                  ran <Ran attempt={attempt} now={now} />
                </span>
              ) : null}
              <span>{formatRate(attempt.microsPerHour)}</span>
              <span className="text-foreground">{cost(attempt)}</span>
            </p>
          </li>
        ))}
      </ol>
    </>
  );
}

function Machine({ attempt }: { attempt: AttemptView }) {
  return (
    <div className="min-w-0">
      <span className="block font-medium">{attempt.machineName}</span>
      <span className="flex flex-wrap items-center gap-1.5 text-xs text-muted-foreground">
        {describeGpus(attempt.gpus.map((gpu) => gpu.name))}
        {attempt.gpus.some((gpu) => gpu.simulated) ? <Badge tone="outline">simulated</Badge> : null}
      </span>
    </div>
  );
}

function Outcome({ attempt }: { attempt: AttemptView }) {
  const reason = attempt.endReason ? endReasonRow(attempt.endReason) : null;
  return (
    <div>
      <LeaseStateBadge state={attempt.state} failed={reason?.finalState === 'failed'} />
      {reason ? (
        <span className="mt-1 block text-xs text-muted-foreground">
          {reason.sentence}
          {attempt.exitCode === null ? '' : ` Exit code ${attempt.exitCode}.`}
        </span>
      ) : null}
    </div>
  );
}

function Ran({ attempt, now }: { attempt: AttemptView; now: Date }) {
  if (!attempt.startedAt) return '–';
  return <RunningTime from={attempt.startedAt} to={attempt.exitedAt ?? attempt.endedAt} now={now} />;
}

function cost(attempt: AttemptView): string {
  if (attempt.endedAt === null) return '–';
  return attempt.costMicros > 0n ? formatMoney(attempt.costMicros) : 'not billed';
}
