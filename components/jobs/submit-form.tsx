'use client';

import { Play } from 'lucide-react';
import { type FormEvent, useEffect, useRef, useState, useTransition } from 'react';
import { submitJob } from '@/actions/submit-job.ts';
import { AdvancedFields } from '@/components/jobs/advanced-fields.tsx';
import { PlanPanel } from '@/components/jobs/plan-panel.tsx';
import { usePlan } from '@/components/jobs/use-plan.ts';
import { useIdempotencyKey } from '@/components/shell/use-idempotency-key.ts';
import { Alert } from '@/components/ui/alert.tsx';
import { Button } from '@/components/ui/button.tsx';
import { Card, CardContent, CardHeader, CardTitle } from '@/components/ui/card.tsx';
import { CopyButton } from '@/components/ui/copy-button.tsx';
import { Field } from '@/components/ui/field.tsx';
import { Input } from '@/components/ui/input.tsx';
import { Select } from '@/components/ui/select.tsx';
import { Textarea } from '@/components/ui/textarea.tsx';
import { cliCommand } from '@/lib/cli-command.ts';
import type { DraftErrors, JobDraft, JobDraftField } from '@/types/job-draft.ts';

/** The submit form with its live plan. What is typed stays, whatever the server answers. */
export function SubmitForm({ initialDraft }: { initialDraft: JobDraft }) {
  const [draft, setDraft] = useState(initialDraft);
  const [submitErrors, setSubmitErrors] = useState<DraftErrors>({});
  const [touched, setTouched] = useState<ReadonlySet<JobDraftField>>(new Set());
  const [submitting, startSubmit] = useTransition();
  const { plan, quoteId, planErrors, planning } = usePlan(draft);
  const { keyOf } = useIdempotencyKey();
  const formRef = useRef<HTMLFormElement>(null);

  // Until one tries to submit, only fields that were changed complain.
  const errors: DraftErrors = { ...pick(planErrors, touched), ...submitErrors };
  const usesGpus = draft.gpus.trim() !== '0';

  function change(field: JobDraftField, value: string) {
    setDraft((current) => ({ ...current, [field]: value }));
    setTouched((current) => new Set(current).add(field));
    setSubmitErrors(({ [field]: _solved, form: _form, ...rest }) => rest);
  }

  const bind = (field: JobDraftField) => ({
    value: draft[field],
    onChange: (event: { target: { value: string } }) => change(field, event.target.value),
  });

  function onSubmit(event: FormEvent) {
    event.preventDefault();
    startSubmit(async () => {
      const result = await submitJob({ draft, idempotencyKey: keyOf(JSON.stringify(draft)), quoteId });
      setSubmitErrors(result.errors);
    });
  }

  // What was typed before this script ran is in the page and not in the state: take it over.
  useEffect(() => {
    const typed = draftFrom(formRef.current);
    if (Object.keys(typed).length > 0) setDraft((current) => ({ ...current, ...typed }));
  }, []);

  useEffect(() => {
    if (Object.keys(submitErrors).length === 0) return;
    formRef.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [submitErrors]);

  return (
    <form
      ref={formRef}
      onSubmit={onSubmit}
      noValidate
      className="grid grid-cols-1 items-start gap-6 lg:grid-cols-[minmax(0,1fr)_22rem]"
    >
      <div className="flex flex-col gap-6">
        {errors.form ? (
          <Alert tone="danger" title="The job was not submitted" live>
            {errors.form}
          </Alert>
        ) : null}
        <Card>
          <CardHeader>
            <CardTitle>What to run</CardTitle>
          </CardHeader>
          <CardContent className="flex flex-col gap-5">
            <Field
              name="image"
              label="Image"
              error={errors.image}
              hint="A container image that the machine can pull, with its tag."
            >
              {(control) => (
                <Input
                  {...control}
                  {...bind('image')}
                  placeholder="pytorch/pytorch:latest"
                  autoComplete="off"
                  spellCheck={false}
                  className="font-mono text-[0.8125rem]"
                />
              )}
            </Field>
            <Field
              name="command"
              label="Command"
              aside="optional"
              error={errors.command}
              hint="Runs in a shell. Empty runs the image's own command. Files written to /outputs come back to you."
            >
              {(control) => (
                <Textarea
                  {...control}
                  {...bind('command')}
                  placeholder="python train.py --epochs 3"
                  spellCheck={false}
                  className="font-mono text-[0.8125rem]"
                />
              )}
            </Field>
            <Field
              name="name"
              label="Name"
              aside="optional"
              error={errors.name}
              hint="Lower-case letters, digits and dashes; unique in your account. Given for you when empty."
            >
              {(control) => (
                <Input
                  {...control}
                  {...bind('name')}
                  placeholder="train-mnist"
                  autoComplete="off"
                  spellCheck={false}
                />
              )}
            </Field>
          </CardContent>
        </Card>

        <Card>
          <CardHeader>
            <CardTitle>What it needs</CardTitle>
          </CardHeader>
          <CardContent className="grid gap-5 sm:grid-cols-2">
            <Field name="gpus" label="GPUs" error={errors.gpus} hint="On one machine. 0 is a CPU job.">
              {(control) => (
                <Select {...control} {...bind('gpus')}>
                  {gpuChoices.map((count) => (
                    <option key={count}>{count}</option>
                  ))}
                </Select>
              )}
            </Field>
            {usesGpus ? (
              <>
                <Field
                  name="vram"
                  label="Memory of each GPU"
                  error={errors.vram}
                  hint="24GB is that or more; also 24GB..80GB and ..48GB."
                >
                  {(control) => (
                    <Input
                      {...control}
                      {...bind('vram')}
                      placeholder="any"
                      autoComplete="off"
                      spellCheck={false}
                    />
                  )}
                </Field>
                <Field
                  name="gpuModels"
                  label="GPU model"
                  aside="optional"
                  error={errors.gpuModels}
                  hint="Any of these, separated by commas."
                  className="sm:col-span-2"
                >
                  {(control) => (
                    <Input
                      {...control}
                      {...bind('gpuModels')}
                      placeholder="RTX 4090, A100"
                      autoComplete="off"
                      spellCheck={false}
                    />
                  )}
                </Field>
              </>
            ) : (
              <div className="hidden sm:block" />
            )}
            <Field name="cpus" label="CPU cores" error={errors.cpus}>
              {(control) => <Input {...control} {...bind('cpus')} inputMode="decimal" autoComplete="off" />}
            </Field>
            <Field name="memory" label="Memory" error={errors.memory} hint="Such as 4GB or 512MB.">
              {(control) => <Input {...control} {...bind('memory')} autoComplete="off" spellCheck={false} />}
            </Field>
          </CardContent>
        </Card>

        <Card>
          <CardHeader>
            <CardTitle>Limits</CardTitle>
          </CardHeader>
          <CardContent className="grid gap-5 sm:grid-cols-2">
            <Field
              name="maxPrice"
              label={`Highest price per ${usesGpus ? 'GPU' : 'core'}-hour`}
              aside="USD"
              error={errors.maxPrice}
              hint="Empty takes the market's default."
            >
              {(control) => (
                <Input
                  {...control}
                  {...bind('maxPrice')}
                  inputMode="decimal"
                  placeholder="market default"
                  autoComplete="off"
                />
              )}
            </Field>
            <Field
              name="timeLimit"
              label="Time limit"
              error={errors.timeLimit}
              hint="The program is stopped after running this long: 90s, 30m, 1h30m, 2d."
            >
              {(control) => (
                <Input {...control} {...bind('timeLimit')} autoComplete="off" spellCheck={false} />
              )}
            </Field>
            <Field
              name="maxCost"
              label="May cost at most"
              aside="USD, optional"
              error={errors.maxCost}
              hint="The bill never goes past it, and only this much is reserved."
            >
              {(control) => (
                <Input
                  {...control}
                  {...bind('maxCost')}
                  inputMode="decimal"
                  placeholder="price × time limit"
                  autoComplete="off"
                />
              )}
            </Field>
            {draft.maxCost.trim() === '' ? null : (
              <Field
                name="onLimit"
                label="As that comes near"
                error={errors.onLimit}
                hint="You can raise the limit while it runs."
              >
                {(control) => (
                  <Select {...control} {...bind('onLimit')}>
                    <option value="">stop early enough to save the state</option>
                    <option value="stop">use all of it, then stop</option>
                  </Select>
                )}
              </Field>
            )}
          </CardContent>
        </Card>

        <Card>
          <CardHeader>
            <CardTitle>Environment</CardTitle>
          </CardHeader>
          <CardContent>
            <Field
              name="env"
              label="Variables"
              aside="optional"
              error={errors.env}
              hint="One NAME=value a line. The owner of the machine could read them: put no secrets here."
            >
              {(control) => (
                <Textarea
                  {...control}
                  {...bind('env')}
                  placeholder={'EPOCHS=3\nSEED=42'}
                  spellCheck={false}
                  className="font-mono text-[0.8125rem]"
                />
              )}
            </Field>
          </CardContent>
        </Card>

        <AdvancedFields draft={draft} errors={errors} usesGpus={usesGpus} bind={bind} />
      </div>

      <div className="flex flex-col gap-4 lg:sticky lg:top-21">
        <PlanPanel
          plan={plan}
          planning={planning}
          hasErrors={Object.keys(planErrors).length > 0}
          formError={planErrors.form ?? null}
        />
        <Button type="submit" size="lg" disabled={submitting} className="w-full">
          <Play aria-hidden /> {submitting ? 'Submitting…' : submitText(plan?.jobs ?? 1)}
        </Button>
        <CopyButton value={cliCommand(draft)} label="Copy as CLI" className="w-full" size="default" />
      </div>
    </form>
  );
}

function submitText(jobs: number): string {
  return jobs === 1 ? 'Submit job' : `Submit ${jobs.toLocaleString('en')} jobs`;
}

const gpuChoices = ['0', '1', '2', '3', '4', '5', '6', '7', '8'];

function pick(errors: DraftErrors, fields: ReadonlySet<string>): DraftErrors {
  return Object.fromEntries(Object.entries(errors).filter(([field]) => fields.has(field)));
}

/** The values of a form's controls, by the names of the draft's fields. */
function draftFrom(form: HTMLFormElement | null): Partial<JobDraft> {
  return form ? (Object.fromEntries(new FormData(form)) as Partial<JobDraft>) : {};
}
