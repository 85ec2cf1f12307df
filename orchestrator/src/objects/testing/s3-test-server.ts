import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

export const testS3Keys = {
  accessKeyId: 'AKIATEST',
  secretAccessKey: 'secret/of+the=test',
  region: 'eu-test-1',
};

export interface S3TestServer {
  endpoint: string;
  bucket: string;
  objects: Map<string, Buffer>;
  /** Requests that were refused, as `PUT SignatureDoesNotMatch`. */
  refusals: string[];
  /** An S3 that does not look at the hash of what it receives. */
  checksContent: boolean;
  close(): Promise<void>;
}

/**
 * A strict little S3 in memory: signature version 4 computed here from the published rules and not with the
 * library under test, declared lengths, hashes of bodies, ranges.
 */
export async function startS3TestServer(): Promise<S3TestServer> {
  const objects = new Map<string, Buffer>();
  const refusals: string[] = [];
  const state = { checksContent: true };
  const bucket = 'test-bucket';

  const server = createServer((request, response) => {
    void answer(request, response).catch(() => request.destroy());
  });
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refuse = (status: number, code: string) => {
      refusals.push(`${request.method} ${code}`);
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`);
    };
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://s3').pathname);
    if (signatureOf(request) !== givenSignature(request)) return refuse(403, 'SignatureDoesNotMatch');
    if (!path.startsWith(`/${bucket}/`)) return refuse(404, 'NoSuchBucket');
    const key = path.slice(bucket.length + 2);
    if (request.method === 'PUT') {
      const length = request.headers['content-length'];
      if (length === undefined) return refuse(411, 'MissingContentLength');
      const body = await buffer(request);
      const hash = createHash('sha256').update(body).digest('hex');
      if (state.checksContent && hash !== request.headers['x-amz-content-sha256'])
        return refuse(400, 'XAmzContentSHA256Mismatch');
      objects.set(key, body);
      response.end();
      return;
    }
    const object = objects.get(key);
    if (request.method === 'DELETE') {
      objects.delete(key);
      response.writeHead(204).end();
      return;
    }
    if (!object) return refuse(404, 'NoSuchKey');
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (!range) {
      response.writeHead(200, { 'content-length': object.length }).end(object);
      return;
    }
    const part = object.subarray(Number(range[1]), Number(range[2]) + 1);
    response.writeHead(206, { 'content-length': part.length }).end(part);
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    bucket,
    objects,
    refusals,
    get checksContent() {
      return state.checksContent;
    },
    set checksContent(checks) {
      state.checksContent = checks;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();

function givenSignature(request: IncomingMessage): string {
  return /Signature=([0-9a-f]{64})$/.exec(request.headers.authorization ?? '')?.[1] ?? 'none';
}

/** What the signature must be: AWS Signature Version 4, with a query that is always empty here. */
function signatureOf(request: IncomingMessage): string {
  const scope = /Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([a-z0-9;-]+)/.exec(
    request.headers.authorization ?? '',
  );
  if (!scope) return 'unsigned';
  const [, accessKeyId, day = '', region = '', names = ''] = scope;
  const stamp = String(request.headers['x-amz-date']);
  const signed = names.split(';');
  const all = ['host', 'x-amz-content-sha256', 'x-amz-date'].every((name) => signed.includes(name));
  const fresh =
    Math.abs(Date.now() - Date.parse(stamp.replace(/^(....)(..)(..T..)(..)/, '$1-$2-$3:$4:'))) < 900_000;
  if (accessKeyId !== testS3Keys.accessKeyId || region !== testS3Keys.region || !all || !fresh)
    return 'wrong';
  const canonical = [
    request.method,
    new URL(request.url ?? '/', 'http://s3').pathname,
    '',
    ...signed.map((name) => `${name}:${String(request.headers[name]).trim()}`),
    '',
    names,
    request.headers['x-amz-content-sha256'],
  ].join('\n');
  const digest = createHash('sha256').update(canonical).digest('hex');
  const text = ['AWS4-HMAC-SHA256', stamp, `${day}/${region}/s3/aws4_request`, digest].join('\n');
  const dayKey = hmac(`AWS4${testS3Keys.secretAccessKey}`, day);
  const key = hmac(hmac(hmac(dayKey, region), 's3'), 'aws4_request');
  return hmac(key, text).toString('hex');
}
