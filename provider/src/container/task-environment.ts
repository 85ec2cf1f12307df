import { ContainerError } from './container-error.ts';
import type { TaskSpec } from './container-driver.ts';

/** Where a task leaves the files that are to be brought back. */
export const OUTPUTS_DIRECTORY = '/outputs';

/**
 * The environment of a task as `NAME=value` lines: the job's own variables, then ours.
 *
 * The image's variables reach the task by themselves, and two kinds of them must not. The NVIDIA runtime takes
 * `NVIDIA_*` as orders (`NVIDIA_VISIBLE_DEVICES=all` is every card of the machine), and its hooks have been made
 * to run code as root on the host through the loader's variables of an image. Since the engine offers no way to
 * unset a variable of an image, they are overwritten here.
 *
 * @param imageEnv what the image's configuration declares
 * @param proxy the task's only way out, which programs find by the usual variables
 * @throws ContainerError `variable-reserved` when the job sets a variable that belongs to us
 */
export function taskEnvironment(
  spec: TaskSpec,
  imageEnv: readonly string[],
  proxy: string | null = null,
): string[] {
  const reserved = findReservedVariable(spec.env);
  if (reserved !== null) {
    throw new ContainerError('variable-reserved', `the job sets ${reserved}, which only the agent may set`);
  }
  const env = new Map<string, string>();
  for (const line of imageEnv) {
    const { name, value } = split(line);
    const replacement = neutralised(name, value);
    if (replacement !== null) env.set(name, replacement);
  }
  if (proxy !== null) {
    for (const name of ['http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY']) env.set(name, proxy);
    for (const name of ['no_proxy', 'NO_PROXY']) env.set(name, 'localhost,127.0.0.1');
  }
  for (const [name, value] of Object.entries(spec.env)) env.set(name, value);
  for (const [name, value] of Object.entries(spec.variables)) {
    if (name.startsWith('COMPUTEFABRIC_')) env.set(name, value);
  }
  env.set('COMPUTEFABRIC_JOB_ID', spec.jobId);
  env.set('COMPUTEFABRIC_LEASE_ID', spec.leaseId);
  env.set('COMPUTEFABRIC_OUTPUTS', OUTPUTS_DIRECTORY);
  if (spec.stateDirectory !== null) env.set('COMPUTEFABRIC_STATE', spec.stateDirectory);
  // "void" tells the NVIDIA runtime to stay out of it, also where the owner made it the default runtime.
  env.set('NVIDIA_VISIBLE_DEVICES', spec.gpuUuids.length === 0 ? 'void' : spec.gpuUuids.join(','));
  if (spec.gpuUuids.length > 0) env.set('NVIDIA_DRIVER_CAPABILITIES', 'compute,utility');
  return [...env].map(([name, value]) => `${name}=${value}`);
}

/** The first variable of a job that only the agent may set, or null. For an early answer to the renter. */
export function findReservedVariable(env: Readonly<Record<string, string>>): string | null {
  return Object.keys(env).find((name) => RESERVED.test(name)) ?? null;
}

const RESERVED = /^(COMPUTEFABRIC_.*|NVIDIA_.*|LD_PRELOAD|LD_AUDIT)$/;

/** A requirement can only make a start fail; the rest only tells the program what it is. */
const HARMLESS_NVIDIA = /^NVIDIA_(REQUIRE_[A-Z]+|BUILD_ID|PRODUCT_NAME|.+_VERSION)$/;

/** What an image's variable is replaced with, or null when it may stay. */
function neutralised(name: string, value: string): string | null {
  if (name === 'LD_PRELOAD' || name === 'LD_AUDIT') return '';
  if (name.startsWith('NVIDIA_')) return HARMLESS_NVIDIA.test(name) ? null : '';
  if (name === 'LD_LIBRARY_PATH') {
    // A relative or empty entry means "the current directory", which for a runtime's hook can be the image's root.
    const kept = value.split(':').filter((entry) => entry.startsWith('/'));
    return kept.join(':') === value ? null : kept.join(':');
  }
  return null;
}

function split(line: string): { name: string; value: string } {
  const at = line.indexOf('=');
  return at < 0 ? { name: line, value: '' } : { name: line.slice(0, at), value: line.slice(at + 1) };
}
