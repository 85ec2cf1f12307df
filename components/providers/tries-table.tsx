import { endReasonRow } from '@computefabric/protocol/end-reason';
import { formatShare } from '@computefabric/protocol/grammar/quantities';
import type { MachineTry } from '@computefabric/protocol/user-api/machines';
import { LeaseStateBadge } from '@/components/jobs/lease-state-badge.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Badge } from '@/components/ui/badge.tsx';
import { Table, TableBody, TableCell, TableHead, TableHeader, TableRow } from '@/components/ui/table.tsx';
import { formatDuration } from '@/lib/format-duration.ts';
import { formatMoney, formatRate } from '@/lib/format-money.ts';
import { countOf } from '@/lib/format-size.ts';

/** What a machine was given: when, what it took, how it ended, what it earned. Cards where no table fits. */
export function TriesTable({ tries }: { tries: MachineTry[] }) {
  if (tries.length === 0) {
    return <p className="px-5 py-6 text-sm text-muted-foreground">It has been given nothing yet.</p>;
  }
  return (
    <>
      <div className="hidden md:block">
        <Table>
          <TableHeader>
            <TableRow>
              <TableHead>Offered</TableHead>
              <TableHead>Used</TableHead>
              <TableHead>How it ended</TableHead>
              <TableHead>Record</TableHead>
              <TableHead className="text-right">Paid for</TableHead>
              <TableHead className="text-right">Price</TableHead>
              <TableHead className="text-right">Earned</TableHead>
            </TableRow>
          </TableHeader>
          <TableBody>
            {tries.map((one) => (
              <TableRow key={one.lease_id}>
                <TableCell className="whitespace-nowrap">
                  <LocalTime at={new Date(one.offered_at)} />
                </TableCell>
                <TableCell>
                  <Used one={one} />
                </TableCell>
                <TableCell className="max-w-80">
                  <Outcome one={one} />
                </TableCell>
                <TableCell>
                  <RecordMark record={one.record} />
                </TableCell>
                <TableCell className="text-right whitespace-nowrap tabular-nums">{paidFor(one)}</TableCell>
                <TableCell className="text-right whitespace-nowrap">{rate(one)}</TableCell>
                <TableCell className="text-right whitespace-nowrap tabular-nums">{earned(one)}</TableCell>
              </TableRow>
            ))}
          </TableBody>
        </Table>
      </div>
      <ol className="divide-y md:hidden">
        {tries.map((one) => (
          <li key={one.lease_id} className="flex flex-col gap-2 px-4 py-4 text-sm">
            <div className="flex items-start justify-between gap-3">
              <Used one={one} />
              <span className="shrink-0 text-xs text-muted-foreground">
                <LocalTime at={new Date(one.offered_at)} />
              </span>
            </div>
            <Outcome one={one} />
            <p className="flex flex-wrap items-center gap-x-4 gap-y-1 text-[0.8125rem] text-muted-foreground tabular-nums">
              <span>{rate(one)}</span>
              <span>paid for {paidFor(one)}</span>
              <span className="text-foreground">earned {earned(one)}</span>
              <RecordMark record={one.record} />
            </p>
          </li>
        ))}
      </ol>
    </>
  );
}

function Used({ one }: { one: MachineTry }) {
  const cards = one.gpu_milli < 1_000 ? `${formatShare(one.gpu_milli)} of a GPU` : countOf(one.gpus, 'GPU');
  return (
    <span className="flex flex-wrap items-center gap-1.5">
      {one.gpus > 0 ? cards : countOf(one.cpus, 'core')}
      {one.spot ? <Badge tone="outline">spot</Badge> : null}
    </span>
  );
}

function Outcome({ one }: { one: MachineTry }) {
  const reason = one.end_reason ? endReasonRow(one.end_reason) : null;
  return (
    <div>
      <LeaseStateBadge state={one.state} failed={one.record === 'against'} />
      {reason ? (
        <span className="mt-1 block text-xs break-words text-muted-foreground">
          {reason.sentence}
          {one.exit_code === null ? '' : ` Exit code ${one.exit_code}.`}
          {one.end_detail === null ? '' : ` (${one.end_detail})`}
        </span>
      ) : null}
    </div>
  );
}

function RecordMark({ record }: { record: MachineTry['record'] }) {
  if (record === 'nothing') return <span className="text-muted-foreground">counts for nothing</span>;
  return record === 'for' ? (
    <Badge tone="success">counts for it</Badge>
  ) : (
    <Badge tone="danger">counts against it</Badge>
  );
}

function paidFor({ billed_ms, ended_at }: MachineTry): string {
  if (ended_at === null) return '–';
  return billed_ms === 0 ? 'nothing' : formatDuration(billed_ms / 1_000);
}

function rate({ price_per_hour_micros }: MachineTry): string {
  return formatRate(BigInt(price_per_hour_micros));
}

function earned({ earned_micros, ended_at }: MachineTry): string {
  return ended_at === null ? '–' : formatMoney(BigInt(earned_micros));
}
