import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@computefabric/api-client/client';
import { embeddedPostgresUrl, removeEmbeddedPostgres } from '@computefabric/db/embedded-postgres';
import { createTestDatabase } from '@computefabric/db/testing';
import { newBearer } from '@computefabric/protocol/api-key';
import { ensureBundles } from '../../scripts/bundle.mjs';
import { ensureTestImage, removeContainers, testImage } from './engine.ts';
import { freePort } from './free-port.ts';
import { Program, root, until } from './program.ts';

export interface MarketOptions {
  leaseTtlSeconds?: number;
  env?: Record<string, string>;
}

export type Market = Awaited<ReturnType<typeof startMarket>>;

/**
 * The real market on this machine: the real orchestrator, real agents, real containers. The database is the
 * embedded default, or one on the server of TEST_DATABASE_URL given by DATABASE_URL: the same journeys hold
 * for both.
 */
export async function startMarket({ leaseTtlSeconds = 30, env = {} }: MarketOptions = {}) {
  await ensureBundles(['orchestrator', 'provider', 'guard', 'cli', 'db']);
  await ensureTestImage();
  const home = await mkdtemp(join(tmpdir(), 'computefabric-journey-'));
  await chmod(home, 0o755);
  const database = process.env.TEST_DATABASE_URL
    ? await createTestDatabase(process.env.TEST_DATABASE_URL)
    : null;
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const { token } = newBearer('user');
  const programs: Program[] = [];
  const client = createClient({ baseUrl: url, token });

  const settings: Record<string, string> = {
    COMPUTEFABRIC_HOME: home,
    ORCHESTRATOR_PORT: String(port),
    COMPUTEFABRIC_OPERATOR_TOKEN: token,
    LEASE_TTL_SECONDS: String(leaseTtlSeconds),
    ...(database ? { DATABASE_URL: database.url } : {}),
    ...env,
  };

  function track(program: Program): Program {
    programs.push(program);
    return program;
  }

  /** Starts the orchestrator (again) on the same port and data, and waits until it serves. */
  async function startOrchestrator(): Promise<Program> {
    const program = track(new Program('orchestrator', 'orchestrator/dist/main.mjs', [], settings));
    await until('the orchestrator', 60, async () => {
      if (!program.running) throw new Error(`the orchestrator ended:\n${program.output}`);
      return (await fetch(`${url}/readyz`)).ok;
    });
    return program;
  }

  /** Starts an agent; the same name again is the same machine with the same home. */
  async function startProvider(name: string, extra: Record<string, string> = {}): Promise<Program> {
    const joined = await client.machines.list();
    const known = joined.items.find((machine) => machine.name === name);
    const join_token = known ? {} : { PROVIDER_JOIN_TOKEN: (await client.machines.createJoinToken()).token };
    const program = track(
      new Program(`provider ${name}`, 'provider/dist/main.mjs', [], {
        COMPUTEFABRIC_URL: url,
        PROVIDER_HOME: join(home, `provider-${name}`),
        PROVIDER_NAME: name,
        PROVIDER_SIMULATED_GPUS: '2x NVIDIA GeForce RTX 4090:24564',
        PROVIDER_CPUS: '8',
        PROVIDER_MEMORY_MIB: '8192',
        ...join_token,
        ...extra,
      }),
    );
    await until(`machine ${name} online`, 60, async () => {
      if (!program.running) throw new Error(`the agent ended:\n${program.output}`);
      const machines = await client.machines.list();
      return machines.items.some((machine) => machine.name === name && machine.state === 'online');
    });
    return program;
  }

  /** Starts the command line as a person would. */
  function cfab(args: string[], extra: Record<string, string> = {}): Program {
    return track(
      new Program(
        `cfab ${args[0]}`,
        join(root, 'client/cli/bin/cfab.mjs'),
        args,
        {
          COMPUTEFABRIC_URL: url,
          COMPUTEFABRIC_TOKEN: token,
          XDG_CONFIG_HOME: join(home, 'config'),
          ...extra,
        },
        home,
      ),
    );
  }

  /** The market's database, for a look at the books from outside. */
  async function databaseUrl(): Promise<string> {
    const found = database?.url ?? (await embeddedPostgresUrl({ home }));
    if (found === null) throw new Error('the embedded database does not run');
    return found;
  }

  /** Every try of every job of this market. */
  async function leaseIds(): Promise<string[]> {
    const { items } = await client.jobs.list({ limit: 200 });
    const jobs = await Promise.all(items.map(({ id }) => client.jobs.get(id)));
    return jobs.flatMap(({ leases }) => leases.map(({ id }) => id));
  }

  async function close(): Promise<void> {
    const known = await leaseIds().catch(() => []); // the orchestrator may be dead: that was the test
    const agents = programs.filter((program) => program.running).reverse();
    for (const program of agents) await program.stop().catch(() => program.kill('SIGKILL'));
    await removeContainers(known);
    if (database) await database.close();
    else await removeEmbeddedPostgres({ home });
    await rm(home, { recursive: true, force: true });
  }

  const orchestrator = await startOrchestrator().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return {
    url,
    home,
    token,
    client,
    image: testImage,
    orchestrator,
    startOrchestrator,
    startProvider,
    cfab,
    leaseIds,
    databaseUrl,
    close,
  };
}
