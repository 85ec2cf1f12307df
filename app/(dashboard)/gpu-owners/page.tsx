import { ServerOff } from 'lucide-react';
import { JoinMachine } from '@/components/providers/join-machine.tsx';
import { MachineCard } from '@/components/providers/machine-card.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { Card } from '@/components/ui/card.tsx';
import { Empty } from '@/components/ui/empty.tsx';
import { getConfig } from '@/lib/config.ts';
import { getDb } from '@/lib/db.ts';
import { formatMoney } from '@/lib/format-money.ts';
import { countOf } from '@/lib/format-size.ts';
import { listMachines } from '@/lib/queries/list-machines.ts';
import { requireSession } from '@/lib/session.ts';

export const metadata = { title: 'GPU owners' };

/** A machine can come, go or take a job at any moment, so this page is always fresh while it is looked at. */
const refreshMs = 5_000;

export default async function GpuOwnersPage() {
  const { viewer } = await requireSession();
  const { machines, now } = await listMachines(getDb(), viewer);
  const earned = machines.reduce((sum, machine) => sum + machine.earnedMicros, 0n);
  return (
    <>
      <LiveRefresh active intervalMs={refreshMs} />
      <PageHeader
        title="GPU owners"
        description={
          machines.length === 0
            ? 'Let your machines work when you do not need them, and earn by the second.'
            : `${countOf(machines.length, 'machine')} · ${formatMoney(earned)} earned so far`
        }
      />
      <div className="flex flex-col gap-6">
        <section aria-label="Your machines" className="flex flex-col gap-4">
          <h2 className="sr-only">Your machines</h2>
          {machines.length === 0 ? (
            <Card>
              <Empty icon={ServerOff} title="None of your machines is on the market">
                Connect one with the steps below. It stays yours: stop the agent at any time and it takes
                nothing new.
              </Empty>
            </Card>
          ) : (
            machines.map((machine) => <MachineCard key={machine.id} machine={machine} now={now} />)
          )}
        </section>
        <JoinMachine orchestratorUrl={getConfig().orchestratorUrl} />
      </div>
    </>
  );
}
