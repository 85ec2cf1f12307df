import { readlink, realpath } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { toError } from '@computefabric/runtime/errors';
import { pause } from '@computefabric/runtime/wait';
import { z } from 'zod';
import type { DockerEngine } from '../docker-engine.ts';
import { containerListReply, containerReply } from '../engine-replies.ts';
import { ensureHolderImage, removeHolder } from '../network-holders.ts';
import { labels } from '../task-labels.ts';

/** The name under which engines know gVisor. */
export const gvisorRuntime = 'runsc';

const REQUEST_SECONDS = 30;
/** Programs that have to run and end well before a task does. Old versions fail now and then, and show it in a few. */
const CANARIES = 5;
const CANARY_MS = 20_000;
const TRIAL = 'sandbox-trial';

const runtimesReply = z.object({
  Runtimes: z.record(
    z.string(),
    z.object({ path: z.string().default(''), runtimeArgs: z.array(z.string()).nullish() }),
  ),
});

/**
 * Whether programs on this engine really run in gVisor, a kernel of its own between them and the machine's. Its name in
 * the engine's settings proves nothing: a program is started, and the process behind it must be gVisor's; others must
 * fork, print and end as they should.
 */
export class GVisor {
  #proven: Promise<{ passesGpus: boolean }> | undefined;

  /** @throws Error saying what is missing */
  prove(engine: DockerEngine, agentId: string): Promise<{ passesGpus: boolean }> {
    this.#proven ??= prove(engine, agentId).catch((thrown: unknown) => {
      this.#proven = undefined; // The owner may put it right: the next look tries again.
      throw new Error(`gVisor: ${toError(thrown).message}`, { cause: thrown });
    });
    return this.#proven;
  }
}

async function prove(engine: DockerEngine, agentId: string): Promise<{ passesGpus: boolean }> {
  const { Runtimes } = runtimesReply.parse(
    await engine.call('asking about the engine', REQUEST_SECONDS, (client) => client.info()),
  );
  const runtime = Runtimes[gvisorRuntime];
  if (!runtime)
    throw new Error(`Docker knows no runtime "${gvisorRuntime}": install it and run "runsc install"`);
  const args = runtime.runtimeArgs ?? [];
  // Its own network stack would send past the rules in a task's network namespace.
  if (!args.includes('--network=host'))
    throw new Error(
      'its runtime must be set up with --network=host, or the rules of jobs’ networks do not hold',
    );
  const image = await ensureHolderImage(engine);
  await removeTrials(engine, agentId); // What an earlier process left in the middle of one.
  await proveKernel(engine, agentId, image, runtime.path);
  for (let canary = 0; canary < CANARIES; canary += 1) await proveCanary(engine, agentId, image);
  return { passesGpus: args.some((arg) => /^--nvproxy(=true)?$/.test(arg)) };
}

/** The process of a program that was started is gVisor's, and not the program's own. */
async function proveKernel(
  engine: DockerEngine,
  agentId: string,
  image: string,
  path: string,
): Promise<void> {
  await withTrial(engine, agentId, { Image: image }, async (id) => {
    const reply = await engine.call('trying gVisor', REQUEST_SECONDS, (client, signal) =>
      client.getContainer(id).inspect({ abortSignal: signal }),
    );
    const { State } = containerReply.parse(reply);
    const program = await readlink(`/proc/${State.Pid}/exe`);
    if (State.Pid === 0 || program !== (await realpath(path)))
      throw new Error(`what runs under its name is ${program}, not gVisor`);
  });
}

/** The engine's init forks another one, which prints its version and ends. */
async function proveCanary(engine: DockerEngine, agentId: string, image: string): Promise<void> {
  const request = { Image: image, Entrypoint: ['/sbin/docker-init', '--version'], init: true };
  await withTrial(engine, agentId, request, async (id) => {
    const deadline = performance.now() + CANARY_MS;
    for (;;) {
      const reply = await engine.call('trying gVisor', REQUEST_SECONDS, (client, signal) =>
        client.getContainer(id).inspect({ abortSignal: signal }),
      );
      const { State } = containerReply.parse(reply);
      if (State.Status === 'exited' && State.ExitCode === 0) return;
      if (State.Status === 'exited')
        throw new Error(`a program that does nothing ended with ${State.ExitCode}`);
      if (performance.now() > deadline) throw new Error('a program that does nothing did not end');
      await pause(20);
    }
  });
}

async function withTrial(
  engine: DockerEngine,
  agentId: string,
  { init = false, ...request }: { Image: string; Entrypoint?: string[]; init?: boolean },
  look: (id: string) => Promise<void>,
): Promise<void> {
  const container = await engine.call('trying gVisor', REQUEST_SECONDS, (client, signal) =>
    client.createContainer({
      ...request,
      name: `cf-trial-${randomBytes(8).toString('hex')}`,
      Labels: { [labels.agent]: agentId, [labels.holder]: TRIAL },
      HostConfig: { NetworkMode: 'none', CapDrop: ['ALL'], Runtime: gvisorRuntime, Init: init },
      abortSignal: signal,
    }),
  );
  try {
    await engine.call('trying gVisor', REQUEST_SECONDS, (_client, signal) =>
      container.start({ abortSignal: signal }),
    );
    await look(container.id);
  } finally {
    await removeHolder(engine, container.id);
  }
}

async function removeTrials(engine: DockerEngine, agentId: string): Promise<void> {
  const filters = { label: [`${labels.agent}=${agentId}`, `${labels.holder}=${TRIAL}`] };
  const found = await engine.call('looking for trials', REQUEST_SECONDS, (client, signal) =>
    client.listContainers({ all: true, filters, abortSignal: signal }),
  );
  for (const { Id } of containerListReply.parse(found)) await removeHolder(engine, Id);
}
