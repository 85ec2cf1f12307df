'use client';

import { KeyRound } from 'lucide-react';
import { useState, useTransition } from 'react';
import { createJoinToken, type JoinTokenResult } from '@/actions/create-join-token.ts';
import { LocalTime } from '@/components/shell/local-time.tsx';
import { Alert } from '@/components/ui/alert.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Card, CardContent, CardDescription, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { CodeLine } from '@/components/ui/code-line.tsx';

interface JoinMachineProps {
  /** Where the machine reaches the market. */
  orchestratorUrl: string;
}

/** How to put a machine on the market: one command with a token that is made on request and works once. */
export function JoinMachine({ orchestratorUrl }: JoinMachineProps) {
  const [result, setResult] = useState<JoinTokenResult | null>(null);
  const [pending, startTransition] = useTransition();
  const token = result?.kind === 'token' ? result.token : null;

  function makeToken() {
    startTransition(async () => setResult(await createJoinToken()));
  }

  return (
    <Card>
      <CardHeader>
        <CardTitle>Connect a machine</CardTitle>
      </CardHeader>
      <CardContent className="flex flex-col gap-5">
        <CardDescription className="max-w-prose">
          The agent runs beside Docker on the machine with the GPUs. It makes outgoing connections only, so no
          port needs to be opened. Each job runs in a container without privileges and sees nothing of the
          machine but its own folders.
        </CardDescription>
        <ol className="flex list-decimal flex-col gap-5 pl-5 text-sm marker:font-medium marker:text-muted-foreground">
          <li className="pl-1.5">
            <p className="font-medium">Prepare the machine</p>
            <p className="mt-1 mb-2 text-muted-foreground">
              It needs Node.js 20.19 or newer and Docker. In a copy of the ComputeFabric source on that
              machine:
            </p>
            <CodeLine code="npm install && npm run bundle" label="Copy command" />
          </li>
          <li className="pl-1.5">
            <p className="font-medium">Make a join token</p>
            <p className="mt-1 mb-2 text-muted-foreground">
              It lets one machine join as yours, once, within 15 minutes.
            </p>
            {token === null ? (
              <Button onClick={makeToken} disabled={pending}>
                <KeyRound aria-hidden /> {pending ? 'Making a token…' : 'Make a token'}
              </Button>
            ) : (
              <p className="text-sm">
                Made; it is in the command below and is not shown again. Valid until{' '}
                {result?.kind === 'token' ? <LocalTime at={result.expiresAt} show="time" /> : null}.{' '}
                <Button variant="link" className="h-auto p-0" onClick={makeToken} disabled={pending}>
                  Make another
                </Button>
              </p>
            )}
            {result?.kind === 'refused' ? (
              <Alert tone="danger" title="No token was made" className="mt-3" live>
                {result.message}
              </Alert>
            ) : null}
          </li>
          <li className="pl-1.5">
            <p className="font-medium">Start the agent</p>
            <p className="mt-1 mb-2 text-muted-foreground">
              The machine appears above by itself, a few seconds later.
            </p>
            <CodeLine
              code={joinCommand(orchestratorUrl, token ?? 'TOKEN_FROM_STEP_2')}
              label="Copy command"
            />
            <p className="mt-2 text-[0.8125rem] text-muted-foreground">
              {isLoopback(orchestratorUrl)
                ? 'This address works on the machine of the market only. For another machine, put the address there at which it reaches the market. '
                : ''}
              No GPU at hand? Put{' '}
              <code className="font-mono">PROVIDER_SIMULATED_GPUS="2x NVIDIA GeForce RTX 4090:24564"</code> in
              front, and the machine offers pretended ones, marked as such everywhere.
            </p>
          </li>
        </ol>
      </CardContent>
    </Card>
  );
}

/** The token goes in by the environment: a command's arguments can be read by every user of the machine. */
function joinCommand(orchestratorUrl: string, token: string): string {
  return `COMPUTEFABRIC_URL=${orchestratorUrl} PROVIDER_JOIN_TOKEN=${token} npm run start -w provider`;
}

function isLoopback(url: string): boolean {
  return /^https?:\/\/(localhost|127\.|\[::1\])/.test(url);
}
