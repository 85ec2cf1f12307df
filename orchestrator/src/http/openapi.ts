import { type Contract, commonErrors } from '@computefabric/protocol/contract';
import { allContracts } from '@computefabric/protocol/contracts';
import { type ErrorCode, errorBody, errorCodeRow } from '@computefabric/protocol/error-codes';
import { z } from 'zod';
import { createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject } from 'zod-openapi';

/** The OpenAPI 3.1 description of every route, made from the contracts that the routes themselves parse with. */
export function openApiDocument(serverUrl: string) {
  return createDocument({
    openapi: '3.1.0',
    info: {
      title: 'ComputeFabric',
      version: '1.0.0',
      description:
        'A marketplace for idle GPUs. Money is in micros (1 USD = 1,000,000) as decimal strings; times are RFC 3339 in UTC.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: serverUrl }],
    tags: [
      { name: 'User API', description: 'For renters and owners: jobs, output, machines, money.' },
      { name: 'Provider API', description: 'For the agent on a GPU machine.' },
    ],
    components: { securitySchemes },
    paths: paths(),
  });
}

const securitySchemes = {
  user: { type: 'http', scheme: 'bearer', description: 'An API key, `cf_…`.' },
  provider: { type: 'http', scheme: 'bearer', description: "A machine's credential, `cfp_…`." },
  join: { type: 'http', scheme: 'bearer', description: 'A one-use join token, `cfj_…`.' },
} as const;

function paths(): ZodOpenApiPathsObject {
  const all: ZodOpenApiPathsObject = {};
  for (const contract of allContracts) {
    const method = contract.method.toLowerCase() as Lowercase<typeof contract.method>;
    all[contract.path] = { ...all[contract.path], [method]: operation(contract) };
  }
  return all;
}

function operation(contract: Contract): ZodOpenApiOperationObject {
  const header = headersOf(contract);
  return {
    operationId: contract.id,
    summary: contract.summary,
    tags: [contract.path.startsWith('/provider/') ? 'Provider API' : 'User API'],
    security: contract.audience === 'public' ? [] : [{ [contract.audience]: [] }],
    requestParams: {
      ...(contract.params instanceof z.ZodObject ? { path: contract.params } : {}),
      ...(contract.query instanceof z.ZodObject ? { query: contract.query } : {}),
      ...(header ? { header } : {}),
    },
    ...bodyOf(contract),
    responses: { [String(contract.status)]: success(contract), ...refusals(contract) },
  };
}

function headersOf(contract: Contract): z.ZodObject | null {
  const shape: Record<string, z.ZodType> = { ...contract.headers?.shape };
  if (contract.idempotent) {
    shape['Idempotency-Key'] = z
      .string()
      .regex(/^[\x21-\x7e]{1,128}$/)
      .describe('Chosen by the client, one for each thing it wants; a repeat gets the first answer again.');
  }
  if (contract.stream === 'text/event-stream') {
    shape['Last-Event-ID'] = z
      .string()
      .optional()
      .describe('Id of the last event seen; the stream goes on behind it.');
  }
  return Object.keys(shape).length === 0 ? null : z.object(shape);
}

function bodyOf(contract: Contract): Pick<ZodOpenApiOperationObject, 'requestBody'> {
  if (contract.body) {
    return { requestBody: { required: true, content: { 'application/json': { schema: contract.body } } } };
  }
  if (!contract.binaryBody) return {};
  return { requestBody: { required: true, content: { [contract.binaryBody]: { schema: binary } } } };
}

const binary = { type: 'string', format: 'binary' } as const;

function success(contract: Contract) {
  const description = contract.summary;
  if (contract.stream === 'text/event-stream') {
    return { description, content: { [contract.stream]: { schema: { type: 'string' } as const } } };
  }
  if (contract.stream) return { description, content: { [contract.stream]: { schema: binary } } };
  if (!contract.reply) return { description };
  return { description, content: { 'application/json': { schema: contract.reply } } };
}

/** Every refusal by its status, with the codes that it can carry. */
function refusals(contract: Contract) {
  const codes = new Set<ErrorCode>([
    ...commonErrors[contract.audience],
    ...bodyErrors(contract),
    ...contract.errors,
  ]);
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = errorCodeRow(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, these]) => [
      String(status),
      {
        description: these.map((code) => `\`${code}\`: ${errorCodeRow(code).message}`).join('\n\n'),
        content: { 'application/json': { schema: errorBody } },
      },
    ]),
  );
}

function bodyErrors(contract: Contract): readonly ErrorCode[] {
  if (!contract.body) return [];
  return [
    'request/malformed-json',
    'request/too-deep',
    'request/too-large',
    'request/unsupported-media-type',
  ];
}
