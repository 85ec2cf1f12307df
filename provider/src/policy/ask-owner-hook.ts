import { spawn } from 'node:child_process';
import type { TaskSpec } from '@computefabric/protocol/provider-api/v1/session';
import type { OwnerConfig } from './owner-config.ts';

type Hook = NonNullable<OwnerConfig['hook']>;

export type HookAnswer = { kind: 'yes' } | { kind: 'no'; reason: string };

/** What of the program's words is read; more is thrown away. */
const mostOutputBytes = 4_096;
const mostReasonChars = 300;

/**
 * Asks the owner's own program about a job: it gets the job as JSON on its standard input, and says yes with exit
 * code 0, no with 1 and a reason as its first line. A program that does anything else, or takes too long, has not
 * said yes.
 */
export async function askOwnerHook(hook: Hook, spec: TaskSpec): Promise<HookAnswer> {
  const [program = '', ...args] = hook.command;
  // Its own group, so that what it starts ends with it.
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'ignore'], detached: true, env: hookEnv });
  const output: Buffer[] = [];
  let bytes = 0;
  child.stdout.on('data', (piece: Buffer) => {
    if (bytes < mostOutputBytes) output.push(piece);
    bytes += piece.length;
  });
  child.stdin.on('error', () => undefined); // It need not read what it is told.
  child.stdin.end(`${JSON.stringify(jobForHook(spec))}\n`);
  let isLate = false;
  const endGroup = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended, and all that it started.
    }
  };
  const late = setTimeout(() => {
    isLate = true;
    endGroup();
  }, hook.seconds * 1_000);
  const end = await new Promise<number | null | Error>((resolve) => {
    child.on('error', resolve);
    child.on('exit', (code) => resolve(code));
  });
  clearTimeout(late);
  endGroup();
  child.stdout.destroy();
  if (isLate) return no(`your program did not answer within ${hook.seconds} s`);
  if (end instanceof Error) return no(`your program could not be started: ${end.message}`);
  if (end === 0) return { kind: 'yes' };
  if (end !== 1) return no(`your program ended with ${end === null ? 'a signal' : `exit code ${end}`}`);
  const [line = ''] = Buffer.concat(output).subarray(0, mostOutputBytes).toString('utf8').split('\n');
  return no(line.trim() || 'your program said no');
}

/** The program is the owner's, but it needs nothing of the agent's settings, some of which are secret. */
const hookEnv = { PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8', NODE_ENV: 'production' } as const;

/** What an owner may know to decide. Values of variables are the renter's secrets; their names are not. */
function jobForHook(spec: TaskSpec) {
  return {
    job_id: spec.job_id,
    attempt: spec.attempt,
    image: spec.image,
    command: spec.command,
    env_names: Object.keys(spec.env).sort(),
    cpus: spec.cpus,
    memory_mib: spec.memory_mib,
    disk_mib: spec.disk_mib,
    gpus: spec.gpu_uuids.length,
    gpu_milli: spec.gpu_milli,
    class: spec.class,
    resumed: spec.resumed,
    time_limit_seconds: spec.time_limit_seconds,
    stop_grace_seconds: spec.stop_grace_seconds,
    price_per_hour_micros: spec.price_per_hour_micros,
  };
}

function no(reason: string): HookAnswer {
  const printable = reason.replace(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
  return { kind: 'no', reason: printable.slice(0, mostReasonChars) };
}
