import { memo, type ReactNode, useEffect, useRef, useState } from 'react';
import { cn } from '@/lib/cn.ts';
import type { AnsiColor, StyledText, TextStyle } from '@/lib/ansi.ts';
import type { LogBlock, LogLine, LogLineSource } from '@/lib/log-buffer.ts';

interface LogLinesProps {
  block: LogBlock;
  /** Lower case; empty when nothing is searched. */
  query: string;
  /** Key of the line with the current match, when it is in this block. */
  currentLine: number | null;
}

/** Blocks this far outside of the view are drawn already, so that scrolling does not meet blank space. */
const drawnAheadPx = 800;
const rowPx = 20;

/**
 * A block of lines, drawn only while it is in or near the view; before and after that it is an empty box of
 * its last height (a guess until it was drawn once). So a long log costs no more than a short one.
 */
export const LogLines = memo(function LogLines({ block, query, currentLine }: LogLinesProps) {
  const box = useRef<HTMLDivElement>(null);
  // What the block measured when it was last drawn, and with how many lines.
  const measured = useRef({ heightPx: 0, lines: 0 });
  const lineCount = useRef(block.lines.length);
  const [near, setNear] = useState(false);
  const drawn = near || currentLine !== null;

  useEffect(() => {
    lineCount.current = block.lines.length;
  }, [block]);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new IntersectionObserver(
      (entries) => {
        const entry = entries.at(-1);
        if (!entry) return;
        measured.current = { heightPx: entry.boundingClientRect.height, lines: lineCount.current };
        setNear(entry.isIntersecting);
      },
      { root: element.closest('[role=log]'), rootMargin: `${drawnAheadPx}px 0px` },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (currentLine !== null) {
      document.getElementById(`log-line-${currentLine}`)?.scrollIntoView({ block: 'nearest' });
    }
  }, [currentLine]);

  return (
    <div
      ref={box}
      style={
        drawn
          ? undefined
          : { height: measured.current.heightPx + (block.lines.length - measured.current.lines) * rowPx }
      }
    >
      {drawn
        ? block.lines.map((line) => (
            <LogRow key={line.key} line={line} query={query} current={line.key === currentLine} />
          ))
        : null}
    </div>
  );
});

interface LogRowProps {
  line: LogLine;
  query: string;
  current: boolean;
}

/**
 * One line. Everything that a program printed ends up in text nodes and in class names of ours. The time and
 * the mark of the stream are drawn from attributes: they are not selected and copied with the text.
 */
const LogRow = memo(function LogRow({ line, query, current }: LogRowProps) {
  return (
    <div
      id={`log-line-${line.key}`}
      data-source={line.source}
      data-time={line.atMs === null ? '' : timeFormat.format(line.atMs)}
      className={cn(
        'flex min-h-5 gap-3 border-l-2 border-transparent px-3 leading-5',
        'before:hidden before:w-[13ch] before:shrink-0 before:text-log-muted before:content-[attr(data-time)] group-data-[times=on]/log:before:block',
        line.source === 'stderr' && 'border-log-error bg-log-error/6',
        (line.source === 'system' || line.source === 'note') && 'text-log-muted italic',
        current && 'bg-log-raised',
      )}
    >
      <span
        data-mark={sourceMarks[line.source]}
        className="flex min-w-0 flex-1 gap-3 before:w-[3ch] before:shrink-0 before:text-log-muted before:not-italic before:content-[attr(data-mark)]"
      >
        <span className="min-w-0 flex-1 whitespace-pre group-data-[wrap=on]/log:[overflow-wrap:anywhere] group-data-[wrap=on]/log:whitespace-pre-wrap">
          {lineText(line, query, current)}
        </span>
      </span>
    </div>
  );
});

const sourceMarks: Record<LogLineSource, string> = { stdout: '', stderr: 'err', system: 'sys', note: '' };

const timeFormat = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});

// Plain functions instead of components: a line has many pieces, and each component would cost memory.
function lineText(line: LogLine, query: string, current: boolean): ReactNode {
  const ranges = matchRanges(line.text, query);
  let offset = 0;
  return line.pieces.map((piece) => {
    const start = offset;
    offset += piece.text.length;
    const className = styleClasses(piece.style);
    const text = pieceText(piece, start, ranges, current);
    return className === '' && typeof text === 'string' ? (
      text
    ) : (
      <span key={start} className={className}>
        {text}
      </span>
    );
  });
}

type Range = readonly [from: number, to: number];

/** The text of one piece that begins at `start` of its line, cut where matches begin and end. */
function pieceText(piece: StyledText, start: number, ranges: readonly Range[], current: boolean): ReactNode {
  const parts: ReactNode[] = [];
  let at = 0;
  for (const [from, to] of ranges) {
    const [matchFrom, matchTo] = [Math.max(0, from - start), Math.min(piece.text.length, to - start)];
    if (matchTo <= at || matchFrom >= piece.text.length) continue;
    if (matchFrom > at) parts.push(piece.text.slice(at, matchFrom));
    parts.push(
      <mark
        key={matchFrom}
        className={cn(
          'rounded-xs bg-log-match text-log-match-foreground',
          current && 'outline-2 outline-log-foreground',
        )}
      >
        {piece.text.slice(matchFrom, matchTo)}
      </mark>,
    );
    at = matchTo;
  }
  if (parts.length === 0) return piece.text;
  if (at < piece.text.length) parts.push(piece.text.slice(at));
  return parts;
}

/** Where the query stands in a line; none when it is empty. */
function matchRanges(text: string, query: string): Range[] {
  if (query === '') return [];
  const ranges: Range[] = [];
  const haystack = text.toLowerCase();
  for (let at = haystack.indexOf(query); at !== -1; at = haystack.indexOf(query, at + query.length)) {
    ranges.push([at, at + query.length]);
  }
  return ranges;
}

function styleClasses(style: TextStyle): string {
  const text = style.inverse ? style.background : style.color;
  const ground = style.inverse ? (style.color ?? 'white') : style.background;
  return [
    // On a coloured ground the text is the log's own dark, which is readable on all sixteen.
    ground ? `${groundClasses[ground]} text-log` : text ? textClasses[text] : '',
    style.bold ? 'font-semibold' : '',
    style.dim && !ground && !text ? 'text-log-muted' : '',
    style.italic ? 'italic' : '',
    style.underline ? 'underline' : '',
    style.strike ? 'line-through' : '',
  ]
    .filter(Boolean)
    .join(' ');
}

// Written out because the style sheet is made from the class names found in the source.
const textClasses: Record<AnsiColor, string> = {
  black: 'text-ansi-black',
  red: 'text-ansi-red',
  green: 'text-ansi-green',
  yellow: 'text-ansi-yellow',
  blue: 'text-ansi-blue',
  magenta: 'text-ansi-magenta',
  cyan: 'text-ansi-cyan',
  white: 'text-ansi-white',
  'bright-black': 'text-ansi-bright-black',
  'bright-red': 'text-ansi-bright-red',
  'bright-green': 'text-ansi-bright-green',
  'bright-yellow': 'text-ansi-bright-yellow',
  'bright-blue': 'text-ansi-bright-blue',
  'bright-magenta': 'text-ansi-bright-magenta',
  'bright-cyan': 'text-ansi-bright-cyan',
  'bright-white': 'text-ansi-bright-white',
};

const groundClasses: Record<AnsiColor, string> = {
  black: 'bg-ansi-black',
  red: 'bg-ansi-red',
  green: 'bg-ansi-green',
  yellow: 'bg-ansi-yellow',
  blue: 'bg-ansi-blue',
  magenta: 'bg-ansi-magenta',
  cyan: 'bg-ansi-cyan',
  white: 'bg-ansi-white',
  'bright-black': 'bg-ansi-bright-black',
  'bright-red': 'bg-ansi-bright-red',
  'bright-green': 'bg-ansi-bright-green',
  'bright-yellow': 'bg-ansi-bright-yellow',
  'bright-blue': 'bg-ansi-bright-blue',
  'bright-magenta': 'bg-ansi-bright-magenta',
  'bright-cyan': 'bg-ansi-bright-cyan',
  'bright-white': 'bg-ansi-bright-white',
};
