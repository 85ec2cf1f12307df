import { Check } from 'lucide-react';
import Link from 'next/link';
import type { ReactNode } from 'react';
import { Button } from '@/components/ui/button.tsx';
import { Card } from '@/components/ui/card.tsx';
import { CodeLine } from '@/components/ui/code-line.tsx';
import { cn } from '@/lib/cn.ts';

/** A first job that needs no GPU and no large download. */
const firstJobCommand = `npx cfab submit --image busybox:latest \\
  --command 'echo "Hello from $(uname -m)"; echo 42 > /outputs/answer.txt'`;

interface GettingStartedProps {
  /** A machine is on the market, so that a job would find one. */
  hasMachine: boolean;
}

/** What to do when nothing has been done yet. Steps tick themselves when the market sees them happen. */
export function GettingStarted({ hasMachine }: GettingStartedProps) {
  return (
    <Card className="weave overflow-hidden">
      <div className="bg-card px-5 py-6 sm:px-8 sm:py-8">
        <h2 className="text-xl font-semibold tracking-tight">Run your first job</h2>
        <p className="mt-1 max-w-prose text-sm text-muted-foreground">
          A job is a container image and a command. It runs on somebody's idle machine, and you pay for the
          seconds that it runs.
        </p>
        <ol className="mt-6 flex flex-col gap-6">
          <Step
            number={1}
            done={hasMachine}
            title={hasMachine ? 'A machine is ready' : 'Put a machine on the market'}
          >
            {hasMachine ? (
              'Jobs have a place to run.'
            ) : (
              <>
                No machine is connected yet. <InlineLink href="/gpu-owners">Connect one</InlineLink>; a laptop
                without a GPU is enough to try everything out.
              </>
            )}
          </Step>
          <Step number={2} done={false} title="Submit from a terminal">
            <span className="block">
              In a copy of the project, with your key loaded by{' '}
              <code className="font-mono text-foreground">source .computefabric/dev.env</code> (on the machine
              of <code className="font-mono text-foreground">npm start</code>) or kept by{' '}
              <code className="font-mono text-foreground">npx cfab login --with-token</code>. You see the plan
              with its price before anything is spent, then the live output.
            </span>
            <CodeLine code={firstJobCommand} label="Copy command" className="mt-3" />
          </Step>
          <Step number={3} done={false} title="Or from here">
            <span className="block">The same job as a form, with the price beside it.</span>
            <Button asChild className="mt-3">
              <Link href="/jobs/new">New job</Link>
            </Button>
          </Step>
        </ol>
      </div>
    </Card>
  );
}

interface StepProps {
  number: number;
  done: boolean;
  title: string;
  children: ReactNode;
}

function Step({ number, done, title, children }: StepProps) {
  return (
    <li className="flex gap-4">
      <span
        className={cn(
          'grid size-7 shrink-0 place-items-center rounded-full text-sm font-medium tabular-nums',
          done ? 'bg-primary text-primary-foreground' : 'border-2 border-border',
        )}
      >
        {done ? <Check aria-hidden className="size-4" /> : <span aria-hidden>{number}</span>}
      </span>
      <div className="min-w-0 flex-1 pt-0.5">
        <h3 className="text-sm font-semibold">
          {title}
          {done ? <span className="sr-only"> (done)</span> : null}
        </h3>
        <div className="mt-1 text-sm text-muted-foreground">{children}</div>
      </div>
    </li>
  );
}

function InlineLink({ href, children }: { href: string; children: string }) {
  return (
    <Link href={href} className="font-medium text-primary underline underline-offset-4">
      {children}
    </Link>
  );
}
