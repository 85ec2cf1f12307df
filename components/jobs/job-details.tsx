import type { ReactNode } from 'react';
import { ReceiptDetails } from '@/components/billing/receipt-details.tsx';
import { AttemptsTable } from '@/components/jobs/attempts-table.tsx';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Card } from '@/components/ui/card.tsx';
import { CodeLine } from '@/components/ui/code-line.tsx';
import { Tabs } from '@/components/ui/tabs.tsx';
import { formatRate } from '@/lib/format-money.ts';
import type { JobEventView, JobView } from '@/types/job-view.ts';
import type { ReceiptView } from '@/types/receipt-view.ts';

interface JobDetailsProps {
  job: JobView;
  /** Null while there is none. */
  receipt: ReceiptView | null;
  now: Date;
}

/** The background of a job: its tries, its bill, what happened to it, and what was asked for. */
export function JobDetails({ job, receipt, now }: JobDetailsProps) {
  return (
    <Card aria-label="Details">
      <Tabs
        label="Details of the job"
        tabs={[
          {
            key: 'tries',
            title: `Tries (${job.attempts.length})`,
            content: <AttemptsTable attempts={job.attempts} now={now} />,
          },
          {
            key: 'receipt',
            title: 'Receipt',
            content: (
              <ReceiptDetails jobId={job.id} jobName={job.name} isFinal={job.isFinal} receipt={receipt} />
            ),
          },
          {
            key: 'events',
            title: `Events (${job.events.length})`,
            content: <EventList events={job.events} />,
          },
          { key: 'spec', title: 'Spec', content: <Spec job={job} /> },
        ]}
      />
    </Card>
  );
}

function EventList({ events }: { events: JobEventView[] }) {
  return (
    <ol className="divide-y">
      {events.map((event) => (
        <li key={event.seq} className="flex gap-4 px-5 py-2.5 text-sm">
          <LocalTime at={event.at} show="time" className="shrink-0 text-muted-foreground" />
          <span className="min-w-0">
            <span className="eyebrow mr-2.5 text-muted-foreground">{event.type}</span>
            <span className="break-words">{event.message}</span>
          </span>
        </li>
      ))}
    </ol>
  );
}

function Spec({ job }: { job: JobView }) {
  return (
    <dl className="grid gap-x-8 gap-y-5 p-5 text-sm sm:grid-cols-2 lg:grid-cols-3">
      <Item name="Image">
        <span className="font-mono text-[0.8125rem] break-all">{job.image}</span>
      </Item>
      {job.terms.map(({ name, value }) => (
        <Item key={name} name={name}>
          <span className="break-words">{value}</span>
        </Item>
      ))}
      <Item name="Price limit">
        {formatRate(job.maxPricePerHourMicros)} per {job.usesGpus ? 'GPU' : 'core'}
      </Item>
      <Item name="Command" wide>
        {job.commandLine === null ? (
          <span>the image's own</span>
        ) : (
          <CodeLine code={job.commandLine} label="Copy command" className="mt-1" />
        )}
      </Item>
      {job.env.length > 0 ? (
        <Item name="Environment" wide>
          <ul className="font-mono text-[0.8125rem]">
            {job.env.map(({ name, value }) => (
              <li key={name} className="break-all">
                {name}={value}
              </li>
            ))}
          </ul>
        </Item>
      ) : null}
    </dl>
  );
}

function Item({ name, wide = false, children }: { name: string; wide?: boolean; children: ReactNode }) {
  return (
    <div className={wide ? 'col-span-full min-w-0' : 'min-w-0'}>
      <dt className="eyebrow mb-1 text-muted-foreground">{name}</dt>
      <dd className="min-w-0">{children}</dd>
    </div>
  );
}
