import { jobSpec } from '@computefabric/protocol/user-api/job-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { nameFromImage } from './job-name.ts';

test.each([
  ['pytorch/pytorch:latest', 'pytorch-0000'],
  ['registry.example:5000/team/My_Model.v2:1.0', 'my-model-v2-0000'],
  [`busybox@sha256:${'a'.repeat(64)}`, 'busybox-0000'],
  ['127.0.0.1:5000/x', 'x-0000'],
])('a job of %s is called %s', (image, name) => {
  expect(nameFromImage(image, () => 0)).toBe(name);
});

test('whatever the image is called, the name is one that a person could have chosen', () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom('a', 'Z', '9', '-', '_', '.', ':', '/', '@', ' ', 'é', '💡', '\u0000'),
      }),
      (image) => {
        return jobSpec.shape.name.safeParse(nameFromImage(image)).success;
      },
    ),
  );
});
