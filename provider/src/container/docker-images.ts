import { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import { formatBytes } from '@computefabric/protocol/grammar/sizes';
import { toError } from '@computefabric/runtime/errors';
import { withEither } from '@computefabric/runtime/either-signal';
import type { LocalImage, PullOptions } from './container-driver.ts';
import { ContainerError, isContainerError } from './container-error.ts';
import type { DockerEngine } from './docker-engine.ts';
import { imageListReply, type ImageReply, imageReply, pullLine } from './engine-replies.ts';
import { parseImageReference, writtenNames } from './image-reference.ts';
import { classifyPullFailure } from './pull-failure.ts';
import { PullTracker } from './pull-progress.ts';

const IMAGE_ID = /^(sha256:)?[0-9a-f]{64}$/;
const INSPECT_SECONDS = 15;
/** Layers of tens of gigabytes are many files. */
const REMOVE_SECONDS = 300;

/** What an image brings along; null when it is not there. */
export async function inspectImage(engine: DockerEngine, reference: string): Promise<ImageReply | null> {
  if (!IMAGE_ID.test(reference)) parseImageReference(reference);
  try {
    const reply = await engine.call(`looking for the image ${reference}`, INSPECT_SECONDS, (client) =>
      client.getImage(reference).inspect(),
    );
    return imageReply.parse(reply);
  } catch (error) {
    if (isContainerError(error) && error.statusCode === 404) return null;
    throw error;
  }
}

/** Names of the images on this engine, each as a job may write it. */
export async function imageNames(engine: DockerEngine, most: number): Promise<string[]> {
  const reply = await engine.call('listing the images', INSPECT_SECONDS, (client) => client.listImages());
  const names = imageListReply
    .parse(reply)
    .flatMap(({ RepoTags, RepoDigests }) => [...RepoTags, ...RepoDigests])
    .filter((name) => !name.includes('<none>') && !isOurs(name));
  return writtenNames(names).slice(0, most);
}

/** Every image there is, by id. */
export async function imageIds(engine: DockerEngine): Promise<ReadonlySet<string>> {
  const reply = await engine.call('listing the images', INSPECT_SECONDS, (client) => client.listImages());
  return new Set(imageListReply.parse(reply).map(({ Id }) => Id));
}

export async function removeImage(
  engine: DockerEngine,
  reference: string,
): Promise<'removed' | 'in-use' | 'gone'> {
  parseImageReference(reference);
  try {
    await engine.call(`removing the image ${reference}`, REMOVE_SECONDS, (client, signal) =>
      client.getImage(reference).remove({ abortSignal: signal }),
    );
    return 'removed';
  } catch (error) {
    if (isContainerError(error) && error.statusCode === 404) return 'gone';
    if (isContainerError(error) && error.statusCode === 409) return 'in-use';
    throw error;
  }
}

/** What agents make for themselves is nothing for a job to name. */
function isOurs(name: string): boolean {
  return name.startsWith('computefabric/prepared:') || name.startsWith('computefabric/network-holder:');
}

export function localImage(image: ImageReply, reference: string): LocalImage {
  const repository = IMAGE_ID.test(reference) ? null : parseImageReference(reference).repository;
  const named = image.RepoDigests.find((entry) => repository !== null && entry.startsWith(`${repository}@`));
  const digest = (named ?? image.RepoDigests[0])?.split('@')[1] ?? null;
  return { id: image.Id, digest, sizeBytes: image.Size };
}

/** Fetches an image. The engine gives a pull up when its client goes away, so abort and deadline really stop it. */
export async function pullImage(
  engine: DockerEngine,
  reference: string,
  options: PullOptions,
): Promise<LocalImage> {
  const { repository, tagOrDigest } = parseImageReference(reference);
  const deadline = AbortSignal.timeout(options.deadlineSeconds * 1000);
  const what = `pulling ${reference}`;
  try {
    await withEither(options.signal ? [deadline, options.signal] : [deadline], async (signal) => {
      // Not `open`: the engine answers only after it has reached the registry, which may take longer.
      const stream = await engine.call(
        what,
        options.deadlineSeconds,
        (client) => {
          const what = { fromImage: repository, tag: tagOrDigest, abortSignal: signal };
          return options.login ? client.createImage(options.login, what) : client.createImage(what);
        },
        signal,
      );
      await followPull(stream, options).finally(() => destroy(stream));
    });
  } catch (error) {
    if (options.signal?.aborted) throw new ContainerError('aborted', `${what}: stopped`, { cause: error });
    if (deadline.aborted) {
      const message = `${what}: not done within ${options.deadlineSeconds} s`;
      throw new ContainerError('pull-timeout', message, { cause: error });
    }
    if (isContainerError(error, 'image-too-large'))
      throw new ContainerError('image-too-large', `${what}: ${error.message}`, { cause: error });
    if (isContainerError(error, 'engine-refused')) throw refusal(what, error.message, error);
    throw engine.asContainerError(what, error);
  }
  const image = await inspectImage(engine, reference);
  if (image === null)
    throw new ContainerError('pull-failed', `${what}: the engine said done and has no such image`);
  return localImage(image, reference);
}

async function followPull(stream: NodeJS.ReadableStream, options: PullOptions): Promise<void> {
  const tracker = new PullTracker();
  options.onProgress?.(tracker.progress);
  for await (const text of jsonLines(stream)) {
    const line = pullLine.parse(JSON.parse(text));
    if (line.error !== undefined) throw new ContainerError('engine-refused', line.error);
    if (!tracker.take(line)) continue;
    const { bytesAtLeast } = tracker;
    if (options.mostBytes !== undefined && bytesAtLeast > options.mostBytes) {
      const [size, most] = [bytesAtLeast, options.mostBytes].map(formatBytes);
      throw new ContainerError('image-too-large', `it has at least ${size}; this machine takes ${most}`);
    }
    options.onProgress?.(tracker.progress);
  }
}

/** The engine gives a pull up that nobody follows any more. */
function destroy(stream: NodeJS.ReadableStream): void {
  if (stream instanceof Readable) stream.destroy();
}

async function* jsonLines(stream: NodeJS.ReadableStream): AsyncGenerator<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    rest += typeof chunk === 'string' ? chunk : decoder.write(chunk);
    const lines = rest.split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield line;
  }
  if (rest.trim() !== '') yield rest;
}

function refusal(what: string, sentence: string, cause: unknown): ContainerError {
  return new ContainerError(classifyPullFailure(sentence), `${what}: ${sentence}`, { cause: toError(cause) });
}
