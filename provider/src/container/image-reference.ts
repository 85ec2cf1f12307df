import { ContainerError } from './container-error.ts';

/** An image's name taken apart: `repository` and exactly one of a tag or a digest to ask the registry for. */
export interface ImageReference {
  /** With the registry's host where one was given: `127.0.0.1:5000/team/train`. */
  repository: string;
  /** What follows: a tag such as `latest`, or `sha256:…`. A digest wins over a tag given beside it. */
  tagOrDigest: string;
}

const HOST = /^([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?$/;
const PATH_PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Reads `[host[:port]/]path[:tag][@sha256:…]`; without tag and digest the tag is `latest`. The engine would fetch
 * *every* tag of a repository when asked without one, so the default is written out here.
 *
 * @throws ContainerError `image-reference-invalid`
 */
export function parseImageReference(reference: string): ImageReference {
  const refuse = (why: string): never => {
    throw new ContainerError(
      'image-reference-invalid',
      `"${reference.slice(0, 200)}" is no image name: ${why}`,
    );
  };
  if (reference.length > 512) refuse('it is longer than 512 characters');

  const [beforeDigest = '', digest, ...rest] = reference.split('@');
  if (rest.length > 0) refuse('it has two "@"');
  if (digest !== undefined && !DIGEST.test(digest))
    refuse('the part after "@" must be sha256: and 64 hex digits');

  const lastSlash = beforeDigest.lastIndexOf('/');
  const colon = beforeDigest.indexOf(':', lastSlash + 1);
  const repository = colon < 0 ? beforeDigest : beforeDigest.slice(0, colon);
  const tag = colon < 0 ? null : beforeDigest.slice(colon + 1);
  if (tag !== null && !TAG.test(tag)) refuse('the tag has characters that a tag cannot have');

  const [first = '', ...others] = repository.split('/');
  const hasHost = others.length > 0 && (/[.:]/.test(first) || first === 'localhost' || first.startsWith('['));
  if (hasHost && !HOST.test(first)) refuse('the registry host is malformed');
  const path = hasHost ? others : [first, ...others];
  if (!path.every((part) => PATH_PART.test(part))) refuse('use lower-case letters, digits and . _ - / only');

  return { repository, tagOrDigest: digest ?? tag ?? 'latest' };
}

/** Every way in which a job may write these names: `busybox:latest` is also `busybox`. */
export function writtenNames(names: readonly string[]): string[] {
  const bare = (name: string) => (name.endsWith(':latest') ? [name.slice(0, -':latest'.length)] : []);
  return [...new Set(names.flatMap((name) => [name, ...bare(name)]))];
}
