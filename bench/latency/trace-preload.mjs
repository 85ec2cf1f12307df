/*
 * Loaded into the orchestrator and the agent by `npm run bench -- latency --trace` (`node --import`): notes when
 * HTTP calls and SQL statements begin and end, with no line of code in the programs themselves. The clock of
 * `process.hrtime` is the machine's, so the moments of all processes fall on one line.
 */
import { subscribe } from 'node:diagnostics_channel';
import { appendFileSync } from 'node:fs';
import { Socket } from 'node:net';

const file = process.env.COMPUTEFABRIC_TRACE_FILE ?? '';
const program = (process.argv[1] ?? '').split('/').at(-3) ?? '';

/** What has not been written yet. Written in pauses, so that writing costs nothing in the moments that count. */
let lines = [];
/** @param {string} what */
function note(what) {
  lines.push(`${process.hrtime.bigint()}\t${program}\t${what}`);
}
function write() {
  if (lines.length === 0) return;
  appendFileSync(file, `${lines.join('\n')}\n`);
  lines = [];
}

if (file !== '' && (program === 'orchestrator' || program === 'provider')) {
  setInterval(write, 1_000).unref();
  process.once('exit', write);

  subscribe('http.server.request.start', ({ request }) => note(`serve ${request.method} ${request.url}`));
  subscribe('http.server.response.finish', ({ request }) => note(`served ${request.method} ${request.url}`));
  subscribe('http.client.request.start', ({ request }) => note(`engine ${request.method} ${request.path}`));
  subscribe('http.client.response.finish', ({ request }) =>
    note(`engine answered ${request.method} ${request.path}`),
  );
  subscribe('undici:request:create', ({ request }) => note(`call ${request.method} ${request.path}`));
  subscribe('undici:request:trailers', ({ request }) => note(`answered ${request.method} ${request.path}`));

  // PostgreSQL's protocol, outgoing: `P` begins a prepared statement and `Q` a plain one, with its text.
  // oxlint-disable-next-line typescript/unbound-method -- called with the socket as `this` below
  const plainWrite = Socket.prototype.write;
  /** @this {Socket} @param {any[]} args */
  Socket.prototype.write = function traced(...args) {
    const [bytes] = args;
    const first = Buffer.isBuffer(bytes) ? bytes[0] : undefined;
    if (first === 0x50 || first === 0x51) {
      const text = bytes.toString('latin1', 5, 200).replace(/[\0\s]+/g, ' ');
      if (/\b(select|insert|update|delete|begin|commit|with|rollback)\b/i.test(text)) {
        note(`sql ${text.trim().slice(0, 110)}`);
      }
    }
    if (Buffer.isBuffer(bytes) === false && typeof bytes === 'string' && bytes.startsWith('event: ')) {
      note(`sse ${bytes.slice(0, 60).replace(/\s+/g, ' ')}`);
    }
    return plainWrite.apply(this, args);
  };
}
