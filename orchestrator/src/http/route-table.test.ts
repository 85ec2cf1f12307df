import type { Contract } from '@computefabric/protocol/contract';
import { allContracts } from '@computefabric/protocol/contracts';
import { describe, expect, test } from 'vitest';
import type { BoundRoute } from './define-route.ts';
import { RouteTable } from './route-table.ts';

const bind = (contract: Contract): BoundRoute => ({ contract, answer: async () => undefined });
const routes = allContracts.map(bind);
const table = new RouteTable(routes);

describe('the table of routes', () => {
  test('every contract is found at its own address, with its parameters', () => {
    for (const { contract } of routes) {
      const values = new Map<string, string>();
      const path = contract.path.replace(/\{(\w+)\}/g, (_, name: string) => {
        values.set(name, `a value/of ${name}`);
        return encodeURIComponent(`a value/of ${name}`);
      });
      const found = table.find(path);
      expect(found?.methods.get(contract.method)?.contract, path).toBe(contract);
      expect(found?.params, path).toEqual(Object.fromEntries(values));
    }
  });

  test('an address with another case, another end or an empty parameter is nobody’s', () => {
    for (const path of ['/V1/jobs', '/v1/jobs/', '/v1//', '/v1', '', 'v1/jobs', '*', '/v1/%6Aobs']) {
      expect(table.find(path), path).toBeNull();
    }
  });

  test('a literal segment goes before a parameter, and gives way where it leads nowhere', () => {
    const [some] = routes;
    if (!some) throw new Error('there are contracts');
    const at = (path: string): BoundRoute => bind({ ...some.contract, path, method: 'GET' });
    const few = new RouteTable([at('/a/{x}'), at('/a/b'), at('/{y}/b/c'), at('/a/{x}/d')]);
    const pathOf = (path: string) => few.find(path)?.methods.get('GET')?.contract.path;
    expect(pathOf('/a/b')).toBe('/a/b');
    expect(pathOf('/a/c')).toBe('/a/{x}');
    expect(pathOf('/a/b/c')).toBe('/{y}/b/c');
    expect(few.find('/a/b/d')?.params).toEqual({ x: 'b' });
    expect(few.find('/a/b/c')?.params).toEqual({ y: 'a' });
  });

  test('a parameter with a broken percent sign is refused', () => {
    const { contract } = routes.find((each) => each.contract.path.includes('{')) ?? {};
    expect(() => table.find((contract?.path ?? '').replace(/\{\w+\}/g, '%'))).toThrow(URIError);
  });
});
