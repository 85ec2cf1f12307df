import { z } from 'zod';
import { parseImageReference } from '../container/image-reference.ts';

/** What the registry may take in all: somebody waits for the answer to an offer. */
const mostMs = 3_000;
/** A list of a few hundred layers is a hundredth of this. */
const mostReplyBytes = 4_194_304;

const accepted = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

const size = z.number().int().min(0);
const manifest = z.object({ config: z.object({ size }), layers: z.array(z.object({ size })) });
const manifestList = z.object({
  manifests: z.array(
    z.object({
      digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
      platform: z.object({ os: z.string(), architecture: z.string() }).optional(),
    }),
  ),
});
const tokenReply = z.object({ token: z.string().optional(), access_token: z.string().optional() });

/**
 * What an image has to be fetched for this kind of machine, compressed bytes, by its registry's list of layers. Null
 * when the registry does not say so to somebody without a login, or not in time: then the pull itself will tell.
 *
 * @param architecture as engines say it, such as `x86_64`
 */
export async function askImageSize(
  reference: string,
  architecture: string,
  outer?: AbortSignal,
): Promise<number | null> {
  const deadline = AbortSignal.timeout(mostMs);
  const signal = outer ? AbortSignal.any([deadline, outer]) : deadline;
  try {
    const registry = new Registry(reference, signal);
    const first = await registry.manifest(parseImageReference(reference).tagOrDigest);
    const list = manifestList.safeParse(first);
    if (!list.success) return sizeOf(first);
    const own = goName(architecture);
    const fitting = list.data.manifests.find(
      ({ platform }) => platform?.os === 'linux' && platform.architecture === own,
    );
    return fitting ? sizeOf(await registry.manifest(fitting.digest)) : null;
  } catch {
    return null; // Whatever is wrong here the pull will run into, and say in the engine's words.
  }
}

function sizeOf(json: unknown): number | null {
  const parsed = manifest.safeParse(json);
  if (!parsed.success) return null;
  return parsed.data.layers.reduce((sum, layer) => sum + layer.size, parsed.data.config.size);
}

/** One repository of a registry, as somebody without a login sees it. */
class Registry {
  readonly #base: string;
  readonly #isLoopback: boolean;
  readonly #signal: AbortSignal;
  #bearer: string | null = null;

  constructor(reference: string, signal: AbortSignal) {
    const { host, path } = locate(parseImageReference(reference).repository);
    this.#isLoopback = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(host);
    // As engines do: plain HTTP on the machine itself alone.
    this.#base = `${this.#isLoopback ? 'http' : 'https'}://${host}/v2/${path}`;
    this.#signal = signal;
  }

  async manifest(tagOrDigest: string): Promise<unknown> {
    const address = `${this.#base}/manifests/${tagOrDigest}`;
    let response = await this.#get(address);
    if (response.status === 401 && this.#bearer === null) {
      await response.body?.cancel();
      this.#bearer = await this.#token(response.headers.get('www-authenticate') ?? '');
      response = await this.#get(address);
    }
    return await readJson(response);
  }

  async #get(address: string): Promise<Response> {
    const authorization = this.#bearer === null ? {} : { authorization: `Bearer ${this.#bearer}` };
    return await fetch(address, { headers: { accept: accepted, ...authorization }, signal: this.#signal });
  }

  /** What anybody may have who asks at the place that the registry names. */
  async #token(challenge: string): Promise<string> {
    const asked = Object.fromEntries(
      [...challenge.matchAll(/(realm|service|scope)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
    );
    if (!/^Bearer /i.test(challenge) || asked.realm === undefined) throw new Error('it wants another login');
    const address = new URL(asked.realm);
    if (address.protocol !== 'https:' && !this.#isLoopback) throw new Error('its tokens come unprotected');
    for (const name of ['service', 'scope']) {
      const value = asked[name];
      if (value !== undefined) address.searchParams.set(name, value);
    }
    const reply = tokenReply.parse(await readJson(await fetch(address, { signal: this.#signal })));
    const token = reply.token ?? reply.access_token;
    if (token === undefined) throw new Error('it gives no token');
    return token;
  }
}

/** Where a repository is: a name without a registry is on Docker Hub, as engines take it. */
function locate(repository: string): { host: string; path: string } {
  const [first = '', ...rest] = repository.split('/');
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost' || first.startsWith('['));
  const path = hasHost ? rest.join('/') : repository;
  if (hasHost && first !== 'docker.io' && first !== 'index.docker.io') return { host: first, path };
  return { host: 'registry-1.docker.io', path: path.includes('/') ? path : `library/${path}` };
}

async function readJson(response: Response): Promise<unknown> {
  if (!response.ok || !response.body) throw new Error(`the registry answers ${response.status}`);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body) {
    bytes += part.byteLength;
    if (bytes > mostReplyBytes) throw new Error('the registry says too much');
    parts.push(part);
  }
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

/** Registries name processors as Go does. */
function goName(architecture: string): string {
  switch (architecture) {
    case 'x86_64':
      return 'amd64';
    case 'aarch64':
      return 'arm64';
    default:
      return architecture;
  }
}
