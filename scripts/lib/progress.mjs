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
 * @property {(text: string) => void} skip Nothing to do.
 * @property {(text: string) => void} warn Ended, but not as hoped; the run goes on.
 * @property {(text: string) => void} fail
 *
 * @typedef {object} Progress
 * @property {(title: string, options?: { numbered: boolean }) => Step} begin
 * @property {(text?: string) => void} line A line outside any step.
 * @property {() => void} pause Stops drawing while another program owns the screen.
 */

const heartbeatMs = 2800;
const spinnerMs = 120;
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/**
 * @param {{ total?: number, out?: NodeJS.WritableStream & { isTTY?: boolean, columns?: number }, titleWidth?: number }} [options] `total` is the
 *   number of steps, for the `1/7` in front; without it no number is shown.
 * @returns {Progress}
 */
export function createProgress({ total, out = process.stdout, titleWidth = 28 } = {}) {
  const live = out.isTTY === true && process.env.TERM !== 'dumb';
  const colour = live && !process.env.NO_COLOR;
  let stepNumber = 0;
  /** @type {{ stop: () => void, pause: () => void } | undefined} */
  let current;

  return {
    line: (text = '') => print(text),
    pause: () => current?.pause(),
    begin(title, { numbered } = { numbered: true }) {
      current?.stop();
      if (numbered) stepNumber += 1;
      return beginStep(title, numbered && total !== undefined ? `${stepNumber}/${total} ` : '');
    },
  };

  /** @param {string} title @param {string} number @returns {Step} */
  function beginStep(title, number) {
    const padded = ` ${number}${title.padEnd(titleWidth)}`;
    const startedAt = Date.now();
    let lastLineAt = startedAt;
    let detail = '';
    let frame = 0;
    let headPrinted = false;
    const elapsed = () => formatDuration(Date.now() - startedAt);

    const printHead = () => {
      if (!headPrinted) print(` ${number}${title} …`);
      headPrinted = true;
    };
    const redraw = () => {
      const text = `${padded}${frames[frame++ % frames.length]} ${elapsed()}  ${detail}`;
      out.write(`\r\u001b[K${text.slice(0, Math.max(20, (out.columns ?? 100) - 1))}`);
    };
    const heartbeat = () => {
      printHead(); // Not at once: a quick step is then one line in a log file, not two.
      if (Date.now() - lastLineAt < heartbeatMs) return;
      lastLineAt = Date.now();
      print(`     … ${elapsed()}${detail === '' ? '' : `  ${detail.slice(0, 110)}`}`);
    };
    if (live) redraw();
    const timer = setInterval(live ? redraw : heartbeat, live ? spinnerMs : 200);
    timer.unref();

    const stop = () => {
      clearInterval(timer);
      if (current === mine) current = undefined;
      if (live) out.write('\r\u001b[K');
    };
    const pause = () => {
      stop();
      printHead();
    };
    const mine = { stop, pause };
    current = mine;
    /** @param {string} word @param {string} text */
    const end = (word, text) => {
      stop();
      print(`${padded}${word} ${text === '' ? '' : `${text} · `}${elapsed()}`);
    };
    return {
      detail: (text) => {
        detail = text.replaceAll(/\s+/g, ' ').trim();
      },
      note: (text) => {
        if (!live) printHead();
        lastLineAt = Date.now();
        print(`     ${text}`);
      },
      done: (text = '') => end(paint('32', 'ok  '), text),
      skip: (text) => end(paint('90', '–   '), text),
      warn: (text) => end(paint('33', 'note'), text),
      fail: (text) => end(paint('31', 'FAIL'), text),
    };
  }

  /** @param {string} text */
  function print(text) {
    out.write(`${live ? '\r\u001b[K' : ''}${text}\n`);
  }

  /** @param {string} code @param {string} text */
  function paint(code, text) {
    return colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}
