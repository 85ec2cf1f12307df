import { describe, expect, test } from 'vitest';
import { rootDir } from './paths.mjs';
import { countReport, filesWorthASecondTry } from './run-vitest.mjs';

const passed = { status: 'passed', fullName: 'it passes' };
const skipped = { status: 'pending', fullName: 'it waits' };
const failed = {
  status: 'failed',
  fullName: 'it fails',
  failureMessages: ['AssertionError: expected 1 to be 2\n  at here'],
};
const file = (name: string, ...assertionResults: { status: string; fullName: string }[]) => ({
  name: `${rootDir}${rootDir.endsWith('/') ? '' : '/'}${name}`,
  status: assertionResults.every(({ status }) => status !== 'failed') ? 'passed' : 'failed',
  assertionResults,
});
const report = { testResults: [file('a.test.ts', passed, passed, skipped), file('b.test.ts', passed)] };
const withFile = (...files: ReturnType<typeof file>[]) => ({
  testResults: [...report.testResults, ...files],
});
const broken = { ...file('c.test.ts'), status: 'failed', message: 'SyntaxError: what is this' };

describe('counting what vitest did', () => {
  test('passes, failures and skips are taken from the report, and failures are named', () => {
    expect(countReport(report, true)).toEqual({ passed: 3, failed: 0, skipped: 1, failures: [] });
    expect(countReport(withFile(file('c.test.ts', passed, failed)), false)).toEqual({
      passed: 4,
      failed: 1,
      skipped: 1,
      failures: ['c.test.ts > it fails: AssertionError: expected 1 to be 2   at here'],
    });
  });

  test('a file that throws while it loads is one failure', () => {
    const count = countReport(withFile(broken), false);
    expect(count).toMatchObject({ failed: 1, failures: ['c.test.ts: SyntaxError: what is this'] });
  });

  test('an error outside every test is one failure', () => {
    expect(countReport(report, false).failed).toBe(1);
  });

  test('no test at all is a failure, and so is no report', () => {
    expect(countReport({ testResults: [] }, true).failed).toBe(1);
    expect(countReport({ testResults: [file('a.test.ts', skipped)] }, true).failed).toBe(1);
    expect(countReport(undefined, true).failed).toBe(1);
  });
});

describe('a second try', () => {
  test('is given to a few files in which a test failed', () => {
    expect(filesWorthASecondTry(report)).toEqual([]);
    expect(filesWorthASecondTry(withFile(file('c.test.ts', passed, failed)))).toEqual(['c.test.ts']);
  });

  test('is not given to files that cannot be loaded, nor where many fail', () => {
    expect(filesWorthASecondTry(withFile(broken))).toEqual([]);
    expect(filesWorthASecondTry(withFile(broken, file('d.test.ts', failed)))).toEqual([]);
    const many = ['c', 'd', 'e', 'f'].map((name) => file(`${name}.test.ts`, failed));
    expect(filesWorthASecondTry(withFile(...many))).toEqual([]);
    expect(filesWorthASecondTry(undefined)).toEqual([]);
  });
});
