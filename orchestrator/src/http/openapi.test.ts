import SwaggerParser from '@apidevtools/swagger-parser';
import { allContracts } from '@computefabric/protocol/contracts';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { openApiDocument } from './openapi.ts';

// Through JSON, as clients get it.
const document: unknown = JSON.parse(JSON.stringify(openApiDocument('/')));

const operations = z
  .object({
    openapi: z.string(),
    paths: z.record(
      z.string(),
      z.record(
        z.string(),
        z.object({
          operationId: z.string(),
          security: z.array(z.record(z.string(), z.array(z.string()))),
          parameters: z.array(z.object({ in: z.string(), name: z.string() })).default([]),
          responses: z.record(z.string(), z.unknown()),
        }),
      ),
    ),
  })
  .parse(document);

test('the description is valid OpenAPI 3.1', async () => {
  expect(operations.openapi).toBe('3.1.0');
  await SwaggerParser.validate(structuredClone(document) as Parameters<typeof SwaggerParser.validate>[0]);
});

test('every route is in it, with its parameters, who may call it, and its refusals', () => {
  expect(allContracts.length).toBeGreaterThan(25);
  for (const contract of allContracts) {
    const operation = operations.paths[contract.path]?.[contract.method.toLowerCase()];
    expect(operation?.operationId, contract.id).toBe(contract.id);
    const names = operation?.parameters.map(({ name }) => name) ?? [];
    for (const [, parameter] of contract.path.matchAll(/\{(\w+)\}/g))
      expect(names, contract.id).toContain(parameter);
    if (contract.idempotent) expect(names, contract.id).toContain('Idempotency-Key');
    const isPublic = contract.audience === 'public';
    expect(operation?.security).toEqual(isPublic ? [] : [{ [contract.audience]: [] }]);
    for (const status of [contract.status, 400, ...(isPublic ? [] : [401]), 500]) {
      expect(Object.keys(operation?.responses ?? {}), contract.id).toContain(String(status));
    }
  }
});
