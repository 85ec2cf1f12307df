import { ApiError, UnreachableError } from '@computefabric/api-client/errors';
import { describe, expect, it } from 'vitest';
import { attachmentHeaders, bodyOf, refusal } from './passed-through.ts';

const reader = new AbortController().signal;

describe('a download', () => {
  it('is saved and never shown as a page of ours', () => {
    const headers = attachmentHeaders('result.html', 'application/octet-stream');
    expect(headers['content-disposition']).toMatch(/^attachment; /);
    expect(headers['content-security-policy']).toBe("default-src 'none'; sandbox");
  });

  it.each([
    ['plain.txt', `attachment; filename="plain.txt"; filename*=UTF-8''plain.txt`],
    ['a"b\\c.txt', `attachment; filename="a_b_c.txt"; filename*=UTF-8''a%22b%5Cc.txt`],
    [
      'x\r\nSet-Cookie: a=b',
      `attachment; filename="x__Set-Cookie: a=b"; filename*=UTF-8''x%0D%0ASet-Cookie%3A%20a%3Db`,
    ],
    [
      "größe (1)'.txt",
      `attachment; filename="gr__e (1)'.txt"; filename*=UTF-8''gr%C3%B6%C3%9Fe%20%281%29%27.txt`,
    ],
  ])('keeps the file name %j inside its header', (name, expected) => {
    expect(attachmentHeaders(name, 'text/plain')['content-disposition']).toBe(expected);
  });
});

describe('a body that is passed through', () => {
  it('lets the upstream go when its reader leaves', async () => {
    let released = false;
    async function* endless() {
      try {
        while (true) yield new Uint8Array([1]);
      } finally {
        released = true;
      }
    }
    const stream = bodyOf(endless()).getReader();
    await stream.read();
    await stream.cancel();
    expect(released).toBe(true);
  });

  it('breaks when the upstream breaks, so that half a file is not taken for a whole one', async () => {
    async function* broken() {
      yield new Uint8Array([1]);
      throw new Error('connection lost');
    }
    await expect(new Response(bodyOf(broken())).arrayBuffer()).rejects.toThrow();
  });
});

describe('a refusal of the upstream', () => {
  it('keeps its status and its public sentence', async () => {
    const facts = {
      code: 'job/not-found',
      message: 'There is no such job.',
      retry: 'never',
      request_id: 'r',
    } as const;
    const response = refusal(new ApiError(404, facts), reader);
    expect(response.status).toBe(404);
    expect(await response.text()).toBe('There is no such job.\n');
  });

  it('is "not available" when nobody answered, without naming our addresses', async () => {
    const response = refusal(
      new UnreachableError('http://10.0.0.1:4000/v1', 'ECONNREFUSED', 'refused'),
      reader,
    );
    expect(response.status).toBe(503);
    expect(await response.text()).not.toContain('10.0.0.1');
  });

  it('is not invented for mistakes of ours', () => {
    expect(() => refusal(new TypeError('bug'), reader)).toThrow('bug');
  });
});
