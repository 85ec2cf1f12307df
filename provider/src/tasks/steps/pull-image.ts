import { type ContainerErrorCode, isContainerError } from '../../container/container-error.ts';
import type { TaskContext } from '../task-context.ts';
import { TaskFailure } from '../task-failure.ts';

/** The largest images of the field take a while on a home line: 20 GB at 50 Mbit/s is 54 minutes. */
const pullDeadlineSeconds = 3_600;

/** Makes sure that the image is here. One that is here already is used as it is. */
export async function pullImage({
  journal,
  images,
  reports,
  signal,
  halt,
  onProgress,
}: TaskContext): Promise<void> {
  const { image: reference, registry_login: hasLogin } = journal.record.spec;
  try {
    // Asked for when it is needed, and kept nowhere here.
    const login = (hasLogin && (await reports.readRegistryLogin(signal))) || undefined;
    const image = await images.obtain(reference, {
      login,
      deadlineSeconds: pullDeadlineSeconds,
      onProgress,
      signal: AbortSignal.any([signal, halt]),
    });
    await journal.update({ image: { id: image.id, digest: image.digest } });
  } catch (thrown) {
    // Asked to stop: the next step follows from the journal, which says so already.
    if (signal.aborted || (halt.aborted && journal.record.stop)) return;
    if (!isContainerError(thrown)) throw thrown;
    const { code, message } = thrown;
    if (code === 'engine-unreachable' || code === 'engine-timeout') throw thrown;
    throw new TaskFailure(rentersDoing.has(code) ? 'image-unavailable' : 'provider-error', message, thrown);
  }
}

/** No machine could pull this. Where disk, network or the registry's patience is at an end, another one may. */
const rentersDoing: ReadonlySet<ContainerErrorCode> = new Set([
  'image-reference-invalid',
  'image-not-found',
  'image-wrong-platform',
  'image-refused',
  'image-too-large',
  'pull-denied',
]);
