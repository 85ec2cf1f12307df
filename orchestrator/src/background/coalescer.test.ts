import { expect, test } from 'vitest';
import { Coalescer } from './coalescer.ts';

/** Answers with doubles, each question once it is let go. */
function slowly(most?: number) {
  const questions: number[][] = [];
  const letGo: (() => void)[] = [];
  const coalescer = new Coalescer<number, number>(async (inputs) => {
    questions.push(inputs);
    await new Promise<void>((resolve) => letGo.push(resolve));
    return inputs.map((input) => 2 * input);
  }, most);
  const next = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    letGo.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { coalescer, questions, next };
}

test('calls that come while an answer is on its way are asked together, and each gets its own answer', async () => {
  const { coalescer, questions, next } = slowly();
  const first = coalescer.call(1);
  await new Promise((resolve) => setImmediate(resolve));
  const later = [coalescer.call(2), coalescer.call(3)];
  await next();
  await next();
  expect(questions).toEqual([[1], [2, 3]]);
  expect(await Promise.all([first, ...later])).toEqual([2, 4, 6]);
});

test('a question holds no more than it may', async () => {
  const { coalescer, questions, next } = slowly(2);
  const all = [1, 2, 3, 4, 5].map((input) => coalescer.call(input));
  for (let count = 0; count < 3; count += 1) await next();
  expect(questions).toEqual([[1, 2], [3, 4], [5]]);
  expect(await Promise.all(all)).toEqual([2, 4, 6, 8, 10]);
});

test('a question that fails fails the calls in it and no others', async () => {
  let asked = 0;
  const coalescer = new Coalescer<number, number>(async (inputs) => {
    asked += 1;
    if (asked === 1) throw new Error('gone');
    return inputs;
  });
  await expect(coalescer.call(1)).rejects.toThrow('gone');
  expect(await coalescer.call(2)).toBe(2);
});
