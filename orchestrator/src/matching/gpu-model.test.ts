import { expect, test } from 'vitest';
import { isModel, modelRule } from './gpu-model.ts';

test.each([
  ['NVIDIA GeForce RTX 4090', 'RTX 4090', true],
  ['NVIDIA GeForce RTX 4090', 'rtx4090', true],
  ['NVIDIA GeForce RTX 4090', 'NVIDIA GeForce RTX 4090', true],
  ['NVIDIA GeForce RTX 4090', '4090', true],
  ['NVIDIA GeForce RTX 4090 Laptop GPU', 'RTX 4090', false],
  ['NVIDIA GeForce RTX 4070 Ti', 'RTX 4070', false],
  ['NVIDIA A100 80GB PCIe', 'A100', true],
  ['NVIDIA A100-SXM4-40GB', 'a100', true],
  ['NVIDIA A1000', 'A100', false],
  ['NVIDIA H100 80GB HBM3', 'H100', true],
  ['NVIDIA H100 80GB HBM3', 'H200', false],
  ['NVIDIA H100 80GB HBM3', ' ', false],
])('a card %s asked for as %s: %s', (card, model, expected) => {
  expect(isModel(card, model)).toBe(expected);
});

test('any of several models will do, and the answer does not change when it is asked again', () => {
  const rule = modelRule(['A100', 'RTX 4090']);
  for (const _ of [1, 2]) {
    expect(rule('NVIDIA GeForce RTX 4090')).toBe(true);
    expect(rule('NVIDIA A100 80GB PCIe')).toBe(true);
    expect(rule('NVIDIA H100 80GB HBM3')).toBe(false);
  }
});
