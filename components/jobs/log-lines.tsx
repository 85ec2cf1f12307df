import { type CSSProperties, Fragment, memo } from 'react';
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

/**
 * Some lines of output. Everything a program printed ends up in text nodes and in class names of ours. The
 * browser skips the layout of blocks that are far from view, which keeps long logs quick.
 */
export const LogLines = memo(function LogLines({ block, query, currentLine }: LogLinesProps) {
  return (
    <div className="[content-visibility:auto]" style={heightOf(block)}>
      {block.lines.map((line) => (
        <div
          key={line.key}
          id={`log-line-${line.key}`}
          data-source={line.source}
          className={cn(
            'flex min-h-5 gap-3 border-l-2 border-transparent px-3 leading-5',
            line.source === 'stderr' && 'border-log-error bg-log-error/6',
            (line.source === 'system' || line.source === 'note') && 'text-log-muted italic',
            line.key === currentLine && 'bg-log-raised',
          )}
        >
          <span className="hidden w-[13ch] shrink-0 text-log-muted not-italic select-none group-data-[times=on]/log:inline">
            {line.atMs === null ? '' : timeFormat.format(line.atMs)}
          </span>
          <span className="w-[3ch] shrink-0 text-log-muted not-italic select-none">
            {sourceMarks[line.source]}
            {line.source === 'stderr' ? <span className="sr-only">or output: </span> : null}
          </span>
          <span className="min-w-0 flex-1 whitespace-pre group-data-[wrap=on]/log:[overflow-wrap:anywhere] group-data-[wrap=on]/log:whitespace-pre-wrap">
            <LineText line={line} query={query} current={line.key === currentLine} />
          </span>
        </div>
      ))}
    </div>
  );
});

/** Rows are 20 px when nothing wraps: a good first guess of a height that has not been measured. */
function heightOf(block: LogBlock): CSSProperties {
  return { containIntrinsicBlockSize: `auto ${block.lines.length * 20}px` };
}

const sourceMarks: Record<LogLineSource, string> = { stdout: '', stderr: 'err', system: 'sys', note: '' };

const timeFormat = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});

function LineText({ line, query, current }: { line: LogLine; query: string; current: boolean }) {
  let offset = 0;
  const ranges = matchRanges(line.text, query);
  return line.pieces.map((piece) => {
    const start = offset;
    offset += piece.text.length;
    return (
      <Fragment key={start}>
        <PieceText piece={piece} start={start} ranges={ranges} current={current} />
      </Fragment>
    );
  });
}

type Range = readonly [from: number, to: number];

interface PieceTextProps {
  piece: StyledText;
  /** Where the piece begins in its line. */
  start: number;
  ranges: readonly Range[];
  current: boolean;
}

/** One piece of one style, cut where matches begin and end. */
function PieceText({ piece, start, ranges, current }: PieceTextProps) {
  const parts: { text: string; match: boolean }[] = [];
  let at = 0;
  for (const [from, to] of ranges) {
    const [matchFrom, matchTo] = [Math.max(0, from - start), Math.min(piece.text.length, to - start)];
    if (matchTo <= at || matchFrom >= piece.text.length) continue;
    if (matchFrom > at) parts.push({ text: piece.text.slice(at, matchFrom), match: false });
    parts.push({ text: piece.text.slice(matchFrom, matchTo), match: true });
    at = matchTo;
  }
  if (at < piece.text.length) parts.push({ text: piece.text.slice(at), match: false });
  const marked = cn(
    'rounded-xs bg-log-match text-log-match-foreground',
    current && 'outline-2 outline-log-foreground',
  );
  const content = parts.map((part, index) =>
    part.match ? (
      <mark key={index} className={marked}>
        {part.text}
      </mark>
    ) : (
      part.text
    ),
  );
  const className = styleClasses(piece.style);
  return className === '' ? content : <span className={className}>{content}</span>;
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
