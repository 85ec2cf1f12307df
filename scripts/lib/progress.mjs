import { formatDuration } from './format-duration.mjs';

/**
 * Numbered steps on a terminal or in a log file. The promise: while a step runs, something new is
 * on the screen at least every three seconds, and it says how long the step has been going.
 *
 * On a terminal the running step is one line that redraws itself; anywhere else (CI, a pipe) every
 * heartbeat is a line of its own, because carriage returns make log files unreadable.
 *
 * @typedef {object} Step
 * @property {(text: string) => void} detail Newest thing known about the step; shown with the next heartbeat.
 * @property {(text: string) => void} note A line that stays on the screen.
 * @property {(text?: string) => void} done
 * @property {(text: string) => void} warn Ended, but not as hoped; the run goes on.
 * @property {(text: string) => void} fail
 *
 * @typedef {object} Progress
 * @property {(title: string, options?: { numbered: boolean }) => Step} begin
 * @property {(text?: string) => void} line A line outside any step.
 * @property {() => void} pause Stop drawing while another program owns the screen.
 */

/** Three seconds is the promise; two leaves room for a busy machine. */
const heartbeatMs = 2000;
const spinnerMs = 120;
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/**
 * @param {{ total?: number, out?: NodeJS.WriteStream, titleWidth?: number }} [options] `total` is the
 *   number of steps, for the `1/7` in front; without it no number is shown.
 * @returns {Progress}
 */
export function createProgress({ total, out = process.stdout, titleWidth = 28 } = {}) {
  const live = out.isTTY === true && process.env.TERM !== 'dumb';
  const colour = live && !process.env.NO_COLOR;
  let stepNumber = 0;
  /** @type {(() => void) | undefined} */
  let endRunningStep;

  /** @param {string} code @param {string} text */
  const paint = (code, text) => (colour ? `\u001b[${code}m${text}\u001b[0m` : text);
  const wipe = () => {
    if (live) out.write('\r\u001b[K');
  };
  /** @param {string} text */
  const print = (text) => {
    wipe();
    out.write(`${text}\n`);
  };

  return {
    line: (text = '') => print(text),
    pause: () => endRunningStep?.(),
    begin(title, { numbered } = { numbered: true }) {
      endRunningStep?.();
      if (numbered) stepNumber += 1;
      const number = total === undefined || !numbered ? '' : `${stepNumber}/${total} `;
      const head = ` ${number}${title}`;
      const padded = ` ${number}${title.padEnd(titleWidth)}`;
      const startedAt = Date.now();
      let detail = '';
      let frame = 0;
      let lastLineAt = startedAt;

      const draw = () => {
        const elapsed = Math.floor((Date.now() - startedAt) / 1000);
        const spinner = frames[frame++ % frames.length] ?? '';
        const text = `${padded}${spinner} ${elapsed} s  ${detail}`;
        out.write(`\r\u001b[K${text.slice(0, Math.max(20, (out.columns ?? 100) - 1))}`);
      };
      const heartbeat = () => {
        if (Date.now() - lastLineAt < heartbeatMs) return;
        lastLineAt = Date.now();
        const elapsed = formatDuration(Date.now() - startedAt);
        print(`     … ${elapsed}${detail === '' ? '' : `  ${detail.slice(0, 110)}`}`);
      };
      if (live) draw();
      else print(`${head} …`);
      const timer = setInterval(live ? draw : heartbeat, live ? spinnerMs : heartbeatMs / 4);
      timer.unref();

      const stop = () => {
        clearInterval(timer);
        if (endRunningStep === stop) endRunningStep = undefined;
        wipe();
      };
      endRunningStep = stop;
      /** @param {string} word @param {string} text */
      const end = (word, text) => {
        stop();
        const took = formatDuration(Date.now() - startedAt);
        print(`${padded}${word} ${text === '' ? '' : `${text} · `}${took}`);
      };
      return {
        detail: (text) => {
          detail = text.replaceAll(/\s+/g, ' ').trim();
        },
        note: (text) => {
          lastLineAt = Date.now();
          print(`     ${text}`);
        },
        done: (text = '') => end(paint('32', 'ok  '), text),
        warn: (text) => end(paint('33', 'note'), text),
        fail: (text) => end(paint('31', 'FAIL'), text),
      };
    },
  };
}
