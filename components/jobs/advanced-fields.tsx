'use client';

import { ChevronRight } from 'lucide-react';
import { useState } from 'react';
import { Field } from '@/components/ui/field.tsx';
import { Input } from '@/components/ui/input.tsx';
import { Select } from '@/components/ui/select.tsx';
import { Textarea } from '@/components/ui/textarea.tsx';
import { draftFields } from '@/lib/job-draft-fields.ts';
import type { DraftErrors, JobDraft, JobDraftField } from '@/types/job-draft.ts';

interface AdvancedFieldsProps {
  draft: JobDraft;
  errors: DraftErrors;
  usesGpus: boolean;
  bind: (field: JobDraftField) => {
    value: string;
    onChange: (event: { target: { value: string } }) => void;
  };
}

/** What most jobs leave to the market. Opens by itself where something in it is set or wrong. */
export function AdvancedFields({ draft, errors, usesGpus, bind }: AdvancedFieldsProps) {
  const [opened, setOpened] = useState(() => inside.some((field) => draft[field] !== ''));
  const isWrong = inside.some((field) => errors[field] !== undefined);
  const open = opened || isWrong;
  return (
    <details
      open={open}
      onToggle={({ currentTarget }) => {
        // A field that is wrong is not hidden: nobody would find what holds the form back.
        if (isWrong) currentTarget.open = true;
        else setOpened(currentTarget.open);
      }}
      className="group rounded-lg border bg-card text-card-foreground"
    >
      <summary className="flex cursor-pointer list-none items-center gap-2 rounded-lg px-5 py-4 text-sm font-semibold tracking-tight outline-none focus-visible:ring-2 focus-visible:ring-ring [&::-webkit-details-marker]:hidden">
        <ChevronRight
          aria-hidden
          className="size-4 shrink-0 text-muted-foreground transition-transform group-open:rotate-90 motion-reduce:transition-none"
        />
        Advanced
        <span className="font-normal text-muted-foreground">
          requirements, turn, retries, silent machines, checkpoints, many at once
        </span>
      </summary>
      <div className="flex flex-col gap-7 px-5 pt-1 pb-5">
        {groups.map(({ title, fields }) => {
          const shown = fields.filter(({ field }) => usesGpus || !gpuFields.has(field));
          if (shown.length === 0) return null;
          return (
            <fieldset key={title} className="min-w-0">
              <legend className="eyebrow mb-4 text-muted-foreground">{title}</legend>
              <div className="grid gap-5 sm:grid-cols-2">
                {shown.map(({ field, label, hint, placeholder, choices, isLong }) => (
                  <Field key={field} name={field} label={label} hint={hint} error={errors[field]}>
                    {(control) =>
                      choices ? (
                        <Select {...control} {...bind(field)}>
                          {choices.map(([value, text]) => (
                            <option key={value} value={value}>
                              {text}
                            </option>
                          ))}
                        </Select>
                      ) : isLong ? (
                        <Textarea
                          {...control}
                          {...bind(field)}
                          placeholder={placeholder}
                          spellCheck={false}
                          className="font-mono text-[0.8125rem]"
                        />
                      ) : (
                        <Input
                          {...control}
                          {...bind(field)}
                          placeholder={placeholder}
                          autoComplete="off"
                          spellCheck={false}
                        />
                      )
                    }
                  </Field>
                ))}
              </div>
            </fieldset>
          );
        })}
      </div>
    </details>
  );
}

const inside = draftFields.filter(({ advanced }) => advanced).map(({ field }) => field);
const gpuFields = new Set(draftFields.filter(({ aboutGpus }) => aboutGpus).map(({ field }) => field));

interface AdvancedField {
  field: JobDraftField;
  label: string;
  hint?: string;
  placeholder?: string;
  /** Takes several lines. */
  isLong?: true;
  choices?: readonly (readonly [value: string, text: string])[];
}

const groups: readonly { title: string; fields: readonly AdvancedField[] }[] = [
  {
    title: 'The GPU',
    fields: [
      {
        field: 'gpuShare',
        label: 'Share of one GPU',
        placeholder: '0.25',
        hint: 'Where the owner allows sharing: 0.25, 25% or 250m. Empty is a whole one.',
      },
      {
        field: 'computeCapability',
        label: 'Lowest compute capability',
        placeholder: '8.0',
      },
      { field: 'driver', label: 'Lowest driver version', placeholder: '535.104' },
      { field: 'cuda', label: 'Lowest CUDA version', placeholder: '12.2' },
    ],
  },
  {
    title: 'The machine',
    fields: [
      { field: 'disk', label: 'Free disk', placeholder: '20GB' },
      {
        field: 'region',
        label: 'Region',
        placeholder: 'eu-west, us-east',
        hint: 'Any of these, separated by commas.',
      },
      {
        field: 'reliability',
        label: 'Least reliability',
        placeholder: '95%',
        hint: 'The share of its tries that the machine brought to their end.',
      },
      {
        field: 'tier',
        label: 'Trust',
        choices: [
          ['', 'any machine'],
          ['verified', 'verified or trusted'],
          ['trusted', 'trusted only'],
        ],
      },
      {
        field: 'network',
        label: 'Network',
        placeholder: 'internet',
        hint: 'internet, none, or servers such as pypi.org, separated by commas.',
      },
    ],
  },
  {
    title: 'Price and turn',
    fields: [
      {
        field: 'class',
        label: 'Class',
        hint: 'Spot is cheaper where owners give a discount, and gives way after a notice.',
        choices: [
          ['', 'on-demand'],
          ['spot', 'spot'],
        ],
      },
      {
        field: 'priority',
        label: 'Priority',
        placeholder: '50',
        hint: '0 to 100. Among your own jobs the higher one goes first.',
      },
      {
        field: 'queue',
        label: 'Give up waiting after',
        placeholder: 'never',
        hint: 'Such as 6h.',
      },
      {
        field: 'after',
        label: 'After these jobs',
        placeholder: 'prepare, old-run:any',
        hint: 'JOB waits for its success, JOB:any for its end, JOB:failure for its failure.',
      },
    ],
  },
  {
    title: 'When the program fails',
    fields: [
      {
        field: 'retries',
        label: 'Further tries',
        placeholder: '0',
        hint: 'Each is billed. Tries that a machine spoiled are repeated free and not counted.',
      },
      { field: 'retryOn', label: 'Only after exit codes', placeholder: 'any', hint: 'Such as 1,137.' },
      { field: 'neverRetryOn', label: 'Never after exit codes', placeholder: 'none' },
      {
        field: 'stopGrace',
        label: 'Grace to stop',
        placeholder: '10s',
        hint: 'Between the request to stop (SIGTERM) and the kill.',
      },
    ],
  },
  {
    title: 'When the machine falls silent',
    fields: [
      {
        field: 'lostAfter',
        label: 'Counts as lost after',
        placeholder: "the market's term",
      },
      { field: 'stopAfter', label: 'Stops by itself after', placeholder: 'when it counts as lost' },
      {
        field: 'replace',
        label: 'Then',
        choices: [
          ['', 'start a replacement'],
          ['false', 'wait for its return'],
        ],
      },
      {
        field: 'keep',
        label: 'If both run, keep',
        choices: [
          ['', 'the replacement'],
          ['original', 'the original'],
          ['longest-running', 'the longest-running'],
        ],
      },
    ],
  },
  {
    title: 'Checkpoints',
    fields: [
      {
        field: 'checkpoint',
        label: 'State directory',
        placeholder: '/state',
        hint: 'The next machine gets it back.',
      },
      { field: 'checkpointEvery', label: 'Saved every', placeholder: '5m' },
      {
        field: 'checkpointCommand',
        label: 'Run before each save',
        placeholder: 'none',
      },
    ],
  },
  {
    title: 'Many at once',
    fields: [
      {
        field: 'arrayCount',
        label: 'The same job so many times',
        placeholder: '1',
        hint: 'Each knows its number: COMPUTEFABRIC_ARRAY_INDEX, from 0.',
      },
      {
        field: 'maxParallel',
        label: 'At most so many at a time',
        placeholder: 'all',
      },
      {
        field: 'matrix',
        label: 'Or one for each combination of values',
        isLong: true,
        placeholder: 'lr=0.1, 0.01\nseed=1, 2, 3',
        hint: 'A sweep: one NAME=value, value a line. Each job gets its values as variables.',
      },
      {
        field: 'machines',
        label: 'One job on so many machines together',
        placeholder: '1',
        hint: 'All or none start. Each knows its rank: COMPUTEFABRIC_RANK, from 0.',
      },
    ],
  },
];
