import { describe, expect, test } from 'vitest';
import { countReport } from './run-vitest.mjs';

const report = {
  numPassedTests: 5,
  numFailedTests: 0,
  numPendingTests: 1,
  numTodoTests: 0,
  testResults: [{ status: 'passed', assertionResults: [{}] }],
};

describe('counting what vitest did', () => {
  test('passes, failures and skips are taken from the report', () => {
    expect(countReport(report, true)).toEqual({ passed: 5, failed: 0, skipped: 1 });
    expect(countReport({ ...report, numFailedTests: 2 }, false)).toEqual({
      passed: 5,
      failed: 2,
      skipped: 1,
    });
  });

  test('a file that throws while it loads is one failure', () => {
    const broken = { status: 'failed', assertionResults: [] };
    expect(countReport({ ...report, testResults: [broken] }, false).failed).toBe(1);
  });

  test('an error outside every test is one failure', () => {
    expect(countReport(report, false).failed).toBe(1);
  });

  test('no test at all is a failure, and so is no report', () => {
    expect(countReport({ ...report, numPassedTests: 0, numPendingTests: 0 }, true).failed).toBe(1);
    expect(countReport(undefined, true).failed).toBe(1);
  });
});
