import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import { Download, ShieldCheck } from 'lucide-react';
import type { ReactNode } from 'react';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Badge } from '@/components/ui/badge.tsx';
import { Button } from '@/components/ui/button.tsx';
import { CodeLine } from '@/components/ui/code-line.tsx';
import { CopyButton } from '@/components/ui/copy-button.tsx';
import { formatDuration, formatMetered } from '@/lib/format-duration.ts';
import { formatMoney, formatMoneyExact, formatRate } from '@/lib/format-money.ts';
import type { EstimateView, ReceiptTryView, ReceiptView } from '@/types/receipt-view.ts';

interface ReceiptDetailsProps {
  jobId: string;
  jobName: string;
  isFinal: boolean;
  /** Null until the job is settled. */
  receipt: ReceiptView | null;
}

/** The signed receipt: every line that adds up to what was paid, with what proves it. */
export function ReceiptDetails({ jobId, jobName, isFinal, receipt }: ReceiptDetailsProps) {
  if (!receipt) {
    return (
      <p className="px-5 py-6 text-sm text-muted-foreground">
        {isFinal
          ? 'The receipt is made in a moment, as soon as the job is settled.'
          : 'The receipt is made when the job has ended and is settled.'}
      </p>
    );
  }
  return (
    <div className="flex flex-col gap-6 p-4 text-sm sm:p-5">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="flex flex-wrap items-center gap-x-2 gap-y-1">
          <ShieldCheck aria-hidden className="size-4 text-success" />
          <span>
            Receipt {receipt.number}, signed <LocalTime at={receipt.issuedAt} /> with the key
          </span>
          <code className="font-mono text-[0.8125rem] break-all">{receipt.signedWith}</code>
        </p>
        <Button asChild variant="outline" size="sm">
          <a href={`/api/jobs/${jobId}/receipt`} download>
            <Download aria-hidden /> Download JSON
          </a>
        </Button>
      </div>

      <div className="grid gap-6 lg:grid-cols-2">
        <section aria-label="Bill">
          <h3 className="eyebrow mb-2 text-muted-foreground">Bill</h3>
          <dl className="flex flex-col gap-1.5">
            {receipt.tries.map((one) => (
              <Line
                key={one.id}
                name={`Try ${one.number}: ${formatMetered(one.billedMs)} × ${formatRate(one.microsPerHour)}`}
              >
                {formatMoneyExact(one.costMicros)}
              </Line>
            ))}
            {receipt.freeMs > 0 ? (
              <Line name={`${formatMetered(receipt.freeMs)} metered and not billed`}>
                {formatMoneyExact(0n)}
              </Line>
            ) : null}
            <Line name="Cost" strong>
              {formatMoneyExact(receipt.costMicros)}
            </Line>
            {receipt.refundedMicros > 0n ? (
              <Line name="Refunded">−{formatMoneyExact(receipt.refundedMicros)}</Line>
            ) : null}
            <Line name="Paid" strong>
              {formatMoneyExact(receipt.totalMicros)}
            </Line>
            <Line name="of it to the owners of the machines">{formatMoneyExact(receipt.earnedMicros)}</Line>
            <Line name="of it the market's fee">{formatMoneyExact(receipt.feeMicros)}</Line>
            <Line name="Reserved at submit">{formatMoneyExact(receipt.holdMicros)}</Line>
            <Line name="Given back of it">{formatMoneyExact(receipt.releasedMicros)}</Line>
          </dl>
        </section>
        <section aria-label="Estimate and actual">
          <h3 className="eyebrow mb-2 text-muted-foreground">Estimate and actual</h3>
          {receipt.estimate ? (
            <Comparison estimate={receipt.estimate} receipt={receipt} />
          ) : (
            <p className="text-muted-foreground">
              The job was submitted without a quote, so there is nothing to compare with.
            </p>
          )}
        </section>
      </div>

      {receipt.tries.map((one) => (
        <Try key={one.id} one={one} />
      ))}

      <section aria-label="Check it yourself">
        <h3 className="eyebrow mb-2 text-muted-foreground">Check it yourself</h3>
        <p className="mb-2 max-w-prose">
          This checks the signatures, the sums and the metering on your own machine. A single changed digit is
          found.
        </p>
        <CodeLine code={`npx cfab receipt ${jobName} --verify`} label="Copy command" />
        <Hash name="SHA-256 of all output" value={receipt.logSha256} />
      </section>
    </div>
  );
}

function Comparison({ estimate, receipt }: { estimate: EstimateView; receipt: ReceiptView }) {
  const range = (low: string, high: string) => (low === high ? low : `${low} to ${high}`);
  const { costLowMicros, costHighMicros, waitLowSeconds, waitHighSeconds } = estimate;
  const rows = [
    {
      name: 'Cost',
      expected: range(formatMoney(costLowMicros), formatMoney(costHighMicros)),
      actual: formatMoney(receipt.costMicros),
    },
    {
      name: 'Running',
      expected: range(formatDuration(estimate.runLowSeconds), formatDuration(estimate.runHighSeconds)),
      actual: formatDuration(receipt.runSeconds),
    },
    {
      name: 'Waiting',
      expected:
        waitLowSeconds === null || waitHighSeconds === null
          ? 'could not be said'
          : range(formatDuration(waitLowSeconds), formatDuration(waitHighSeconds)),
      actual: formatDuration(receipt.waitSeconds),
    },
  ];
  return (
    <>
      <table className="w-full">
        <thead>
          <tr className="border-b text-left text-muted-foreground">
            <th scope="col" className="pb-1.5 font-normal">
              <span className="sr-only">What</span>
            </th>
            <th scope="col" className="pr-3 pb-1.5 font-normal">
              expected
            </th>
            <th scope="col" className="pb-1.5 text-right font-normal">
              came to
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.name} className="border-b last:border-0">
              <th scope="row" className="py-1.5 pr-3 text-left font-normal text-muted-foreground">
                {row.name}
              </th>
              <td className="py-1.5 pr-3">{row.expected}</td>
              <td className="py-1.5 text-right font-medium">{row.actual}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <p className="mt-2 text-[0.8125rem] text-muted-foreground">
        {estimate.pastRuns === 0
          ? 'Expected from the limits alone: you had not run this program before.'
          : `Expected from ${estimate.pastRuns} of your earlier runs.`}
      </p>
    </>
  );
}

const faults: Record<ReceiptTryView['fault'], string> = {
  nobody: 'nobody',
  renter: 'the job',
  provider: 'the machine',
  platform: 'the market',
};

function Try({ one }: { one: ReceiptTryView }) {
  return (
    <section aria-label={`Try ${one.number}`} className="rounded-md border px-4 py-3">
      <h3 className="mb-2 flex flex-wrap items-center gap-2 font-medium">
        Try {one.number} on {one.machineName}
        {one.gpus.some(({ simulated }) => simulated) ? <Badge tone="outline">simulated</Badge> : null}
      </h3>
      <dl className="grid gap-x-8 gap-y-2 sm:grid-cols-2">
        <Fact name="Metered">
          {formatMetered(one.meteredMs)}, billed {formatMetered(one.billedMs)}
        </Fact>
        <Fact name="End">
          {one.endMessage} Due to: {faults[one.fault]}.
        </Fact>
        <Fact name="Owner and market">
          {formatMoneyExact(one.earnedMicros)} and {formatMoneyExact(one.feeMicros)}
        </Fact>
        <Fact name="Running time signed by">
          {one.signedByMachine ? 'the market and the machine' : 'the market alone'}
        </Fact>
        {one.gpus.map((gpu) => (
          <Fact key={gpu.uuid} name={gpu.name}>
            <code className="font-mono text-[0.8125rem] break-all">{gpu.uuid}</code>
          </Fact>
        ))}
      </dl>
      {one.imageDigest ? <Hash name="Image" value={one.imageDigest} /> : null}
      <Hash name="SHA-256 of its output" value={one.logSha256} />
      {one.files.map((file) => (
        <Hash key={file.path} name={`${file.path}, ${formatBytes(file.sizeBytes)}`} value={file.sha256} />
      ))}
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div className="min-w-0">
      <dt className="text-[0.8125rem] text-muted-foreground">{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Hash({ name, value }: { name: string; value: string }) {
  return (
    <div className="mt-2 flex items-end gap-2">
      <div className="min-w-0 flex-1">
        <p className="text-[0.8125rem] break-all text-muted-foreground">{name}</p>
        <code className="font-mono text-[0.8125rem] break-all">{value}</code>
      </div>
      <CopyButton value={value} label={`Copy ${name}`} iconOnly variant="ghost" className="shrink-0" />
    </div>
  );
}

function Line({ name, strong = false, children }: { name: string; strong?: boolean; children: ReactNode }) {
  return (
    <div
      className={
        strong ? 'flex justify-between gap-4 border-t pt-1.5 font-medium' : 'flex justify-between gap-4'
      }
    >
      <dt className={strong ? '' : 'text-muted-foreground'}>{name}</dt>
      <dd className="shrink-0 tabular-nums">{children}</dd>
    </div>
  );
}
