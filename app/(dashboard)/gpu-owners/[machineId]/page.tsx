import Link from 'next/link';
import { notFound } from 'next/navigation';
import { OwnerNoticeLine } from '@/components/providers/owner-notice-line.tsx';
import { TriesTable } from '@/components/providers/tries-table.tsx';
import { LiveRefresh } from '@/components/shell/live-refresh.tsx';
import { PageHeader } from '@/components/shell/page-header.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Card } from '@/components/ui/card.tsx';
import { getMachineTries } from '@/lib/machine-tries.ts';
import { requireSession } from '@/lib/session.ts';

export const metadata = { title: 'Tries of a machine' };

const refreshMs = 5_000;

interface MachinePageProps {
  params: Promise<{ machineId: string }>;
  searchParams: Promise<Record<string, string | string[] | undefined>>;
}

/** What one machine of the viewer was given, and what became of it. */
export default async function MachinePage({ params, searchParams }: MachinePageProps) {
  const session = await requireSession();
  const { machineId } = await params;
  const { after } = await searchParams;
  const found = await getMachineTries(session, machineId, typeof after === 'string' ? after : undefined);
  if (!found) notFound();
  const { machine, tries, next } = found;
  return (
    <>
      <LiveRefresh active={tries.some(({ ended_at }) => ended_at === null)} intervalMs={refreshMs} />
      <PageHeader
        title={machine.name}
        description={`What it was given, newest first. Reliability ${(machine.reliability * 100).toFixed(1)} %.`}
      />
      {machine.state === 'online' ? <OwnerNoticeLine notice={machine.owner_notice} /> : null}
      <Card className="overflow-hidden">
        <TriesTable tries={tries} />
      </Card>
      {next ? (
        <Button asChild variant="outline" className="mt-4 self-start">
          <Link href={`/gpu-owners/${machineId}?after=${next}`}>Older</Link>
        </Button>
      ) : null}
    </>
  );
}
