import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pause } from '@computefabric/runtime/wait';

/** Registry for tests on the loopback: serves images that were put into it, at a pace of one's choice. */
export interface LocalRegistry {
  /** `127.0.0.1:port`, to put before a repository's name. */
  host: string;
  /** Adds `name:tag` made of these uncompressed layers. */
  add(name: string, layers: readonly Buffer[], options?: ImageOptions): void;
  /** Repositories that answer with "401 Unauthorized". */
  denied: Set<string>;
  /** Who may pull a repository, as `user:password`; where there is one, the registry asks everybody for a login. */
  logins: Map<string, string>;
  close(): Promise<void>;
}

interface ImageOptions {
  /** Bytes per second of each layer; as fast as it goes by default. */
  bytesPerSecond?: number;
  /** This machine's by default. */
  architecture?: string;
  config?: Record<string, unknown>;
}

interface Blob {
  type: string;
  bytes: Buffer;
  bytesPerSecond: number;
}

const hostArchitecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar';

export async function startLocalRegistry(): Promise<LocalRegistry> {
  const blobs = new Map<string, Blob>();
  const tags = new Map<string, string>();
  const denied = new Set<string>();
  const logins = new Map<string, string>();

  const keep = (type: string, bytes: Buffer, bytesPerSecond = Number.POSITIVE_INFINITY) => {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    blobs.set(digest, { type, bytes, bytesPerSecond });
    return { mediaType: type, size: bytes.length, digest };
  };

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://registry');
    const [, name = '', kind, reference = ''] =
      /^\/v2\/(.+)\/(manifests|blobs)\/([^/]+)$/.exec(pathname) ?? [];
    const given = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const user = given === undefined ? null : Buffer.from(given, 'base64').toString();
    const isAsked = pathname === '/v2/' ? logins.size > 0 && user === null : logins.has(name);
    if (isAsked && user !== logins.get(name)) {
      response.setHeader('www-authenticate', 'Basic realm="test"');
      refuse(response, 401, 'UNAUTHORIZED', 'authentication required');
    } else if (pathname === '/v2/') response.end('{}');
    else if (denied.has(name)) refuse(response, 401, 'UNAUTHORIZED', 'authentication required');
    else {
      const digest = kind === 'manifests' ? (tags.get(`${name}:${reference}`) ?? reference) : reference;
      const blob = blobs.get(digest);
      if (!blob) refuse(response, 404, 'MANIFEST_UNKNOWN', 'manifest unknown');
      else void send(response, digest, blob, request.method === 'HEAD');
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    host: `127.0.0.1:${port}`,
    denied,
    logins,
    add(nameAndTag, layers, { bytesPerSecond, architecture = hostArchitecture, config = {} } = {}) {
      const parts = layers.map((layer) => keep(LAYER, layer, bytesPerSecond));
      const rootfs = { type: 'layers', diff_ids: parts.map(({ digest }) => digest) };
      const description = { architecture, os: 'linux', config, rootfs, created: '2026-01-01T00:00:00Z' };
      const manifest = {
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: keep(CONFIG, Buffer.from(JSON.stringify(description))),
        layers: parts,
      };
      tags.set(nameAndTag, keep(MANIFEST, Buffer.from(JSON.stringify(manifest))).digest);
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

async function send(response: ServerResponse, digest: string, blob: Blob, headOnly: boolean): Promise<void> {
  response.writeHead(200, {
    'content-type': blob.type,
    'content-length': blob.bytes.length,
    'docker-content-digest': digest,
  });
  if (headOnly || blob.bytesPerSecond === Number.POSITIVE_INFINITY) {
    response.end(headOnly ? undefined : blob.bytes);
    return;
  }
  const pieceBytes = Math.ceil(blob.bytesPerSecond / 20);
  for (let at = 0; at < blob.bytes.length && !response.destroyed; at += pieceBytes) {
    response.write(blob.bytes.subarray(at, at + pieceBytes));
    await pause(50);
  }
  response.end();
}
