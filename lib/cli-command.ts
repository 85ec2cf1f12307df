import { formatNames, parseNames } from '@computefabric/protocol/grammar/quantities';
import type { JobDraft } from '../types/job-draft.ts';
import { draftFields, listOf, pairsOf } from './job-draft-fields.ts';

/** The command that submits the same job from a terminal. What is left empty is left out. */
export function cliCommand(draft: JobDraft): string {
  const usesGpus = draft.gpus.trim() !== '0';
  const flags = draftFields
    .filter(({ aboutGpus }) => usesGpus || !aboutGpus)
    .flatMap(({ field, flag }) => {
      const text = draft[field].trim();
      if (text === '') return [];
      if (field === 'env')
        return draft.env
          .split(/\r?\n/)
          .filter(isWritten)
          .map((line) => `${flag} ${shellQuote(line.trim())}`);
      if (field === 'matrix')
        return pairsOf(text).pairs.map(
          ([name, values]) => `${flag} ${shellQuote(`${name}=${listOf(values).join(',')}`)}`,
        );
      if (field === 'after') return listOf(text).map((job) => `${flag} ${shellQuote(job)}`);
      if (field === 'replace') return text === 'false' ? [flag] : [];
      return [`${flag} ${shellQuote(asFlag(field, text))}`];
    });
  return ['npx cfab submit', ...flags].join(' \\\n  ');
}

function asFlag(field: keyof JobDraft, text: string): string {
  if (field === 'gpuModels') return formatNames(parseNames(text) ?? [text]);
  return field === 'maxPrice' || field === 'maxCost' ? text.replace('$', '') : text;
}

function isWritten(line: string): boolean {
  return line.trim() !== '';
}

/** One word for a POSIX shell, whatever is in it. */
export function shellQuote(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
