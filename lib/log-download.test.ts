import type { LogEntry } from '@computefabric/protocol/user-api/logs';
import { describe, expect, it } from 'vitest';
import { logBytes } from './log-download.ts';

async function* pagesOf(...pages: Partial<LogEntry>[][]) {
  for (const [index, page] of pages.entries()) {
    const whole = { attempt: 1, seq: index, stream: 'stdout', at: '', encoding: 'utf-8', data: '' } as const;
    yield { entries: page.map((entry) => ({ ...whole, ...entry })) };
  }
}

async function textOf(...pages: Partial<LogEntry>[][]): Promise<string> {
  const chunks = [];
  for await (const chunk of logBytes(pagesOf(...pages))) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

describe('the download of a log', () => {
  it('joins the pieces of all pages without adding or losing a byte', async () => {
    expect(await textOf([{ data: 'a' }, { data: 'b\r\n' }], [{ data: '\u001b[31mc' }])).toBe(
      'ab\r\n\u001b[31mc',
    );
  });

  it('puts a character together that was cut between two pieces', async () => {
    const [first, second] = [Buffer.from([0xe2, 0x82]), Buffer.from([0xac])];
    expect(
      await textOf([
        { encoding: 'base64', data: first.toString('base64') },
        { encoding: 'base64', data: second.toString('base64') },
      ]),
    ).toBe('€');
  });

  it('says where another try begins', async () => {
    expect(await textOf([{ data: 'one' }, { data: 'two', attempt: 2 }])).toBe('one\n--- try 2 ---\ntwo');
  });
});
