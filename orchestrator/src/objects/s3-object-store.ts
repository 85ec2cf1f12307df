import { type ClientRequest, type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { invariant } from '@computefabric/runtime/invariant';
import type { Secret } from '@computefabric/runtime/secret';
import { AwsV4Signer } from 'aws4fetch';
import { checkedBytes } from './checked-bytes.ts';
import { isObjectKey, mismatch, type ObjectStore } from './object-store.ts';

export interface S3Settings {
  /** Such as `https://s3.eu-central-1.amazonaws.com` or `http://127.0.0.1:9000`; buckets are in the path. */
  endpoint: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: Secret;
  /** Before every key, such as `market-1/`; empty for none. */
  prefix: string;
}

/** Silence on a connection after which it is given up, ms. */
const idleMs = 60_000;
/** A request without a long body. */
const shortMs = 30_000;

/**
 * Objects in a bucket of any S3. Bytes are streamed: the hash that was announced is signed with the request, so
 * the other side checks it too, and the last piece is held back until ours has agreed. Path-style addresses,
 * which every S3 knows.
 */
export function openS3ObjectStore(settings: S3Settings): ObjectStore {
  const addressOf = (key: string) => {
    invariant(isObjectKey(key), 'an object has a key of ours');
    return `${settings.endpoint}/${settings.bucket}/${settings.prefix}${key}`;
  };

  async function send(
    method: string,
    key: string,
    headers: Record<string, string>,
    write: (request: ClientRequest) => Promise<void>,
  ): Promise<IncomingMessage> {
    const signer = new AwsV4Signer({
      method,
      url: addressOf(key),
      headers: { 'x-amz-content-sha256': emptySha256, ...headers },
      service: 's3',
      region: settings.region,
      accessKeyId: settings.accessKeyId,
      secretAccessKey: settings.secretAccessKey.reveal(),
    });
    const signed = await signer.sign();
    const outgoing = (signed.url.protocol === 'https:' ? httpsRequest : httpRequest)(signed.url, {
      method,
      headers: { ...Object.fromEntries(signed.headers), ...lengthOf(headers) },
      timeout: idleMs,
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`the object store was silent for ${idleMs} ms`)));
    let said: IncomingMessage | null = null;
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', (response) => {
        said = response;
        resolve(response);
      });
      outgoing.once('error', reject);
    });
    answer.catch(() => undefined); // awaited below; the body may fail first, for its own reason
    try {
      await write(outgoing);
    } catch (thrown) {
      // A refusal breaks the sending off. What the other side said explains more than the broken pipe.
      if (said !== null) return said;
      outgoing.destroy();
      throw thrown;
    }
    return await answer;
  }

  return {
    async put(key, body, facts, signal) {
      const headers = {
        'content-length': String(facts.sizeBytes),
        'x-amz-content-sha256': facts.sha256,
        'content-type': 'application/octet-stream',
      };
      const bytes = holdingBackTheLast(checkedBytes(body, facts, signal));
      const answer = await send('PUT', key, headers, (request) => pipeline(bytes, request, { signal }));
      await expectStatus('PUT', answer, [200]);
    },

    async open(key, { start, end }) {
      const range: Record<string, string> = end < start ? {} : { range: `bytes=${start}-${end}` };
      const answer = await send('GET', key, range, endNow);
      if (answer.statusCode === 404) {
        answer.resume();
        return null;
      }
      if (answer.statusCode !== 200 && answer.statusCode !== 206) await expectStatus('GET', answer, [206]);
      if (end >= start) return answer;
      answer.resume();
      return Readable.from([]);
    },

    async remove(key) {
      const answer = await send('DELETE', key, {}, endNow);
      await expectStatus('DELETE', answer, [200, 204, 404]);
    },
  };
}

const emptySha256 = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';

/** `Headers` must not carry a length, so it is not among the signed ones. */
function lengthOf(headers: Record<string, string>): Record<string, string> {
  const length = headers['content-length'];
  return length === undefined ? {} : { 'content-length': length };
}

async function endNow(request: ClientRequest): Promise<void> {
  const late = setTimeout(
    () => request.destroy(new Error(`the object store did not answer within ${shortMs} ms`)),
    shortMs,
  );
  request.once('response', () => clearTimeout(late));
  request.once('close', () => clearTimeout(late));
  request.end();
}

/** An object is complete with its last byte: that one goes out when the hash has been found right. */
async function* holdingBackTheLast(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let held: Uint8Array | null = null;
  for await (const piece of bytes) {
    if (piece.byteLength === 0) continue;
    if (held) yield held;
    held = piece;
  }
  if (held) yield held;
}

async function expectStatus(what: string, answer: IncomingMessage, good: readonly number[]): Promise<void> {
  const said = await text(answer);
  const status = answer.statusCode ?? 0;
  if (good.includes(status)) return;
  if (said.includes('XAmzContentSHA256Mismatch')) throw mismatch('another hash than announced');
  throw new Error(`the object store answered ${what} with ${status}: ${said.slice(0, 300)}`);
}
