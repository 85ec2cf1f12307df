import type { StripeGateway } from '../stripe/stripe-gateway.ts';

/**
 * A gateway of a process that dies at its `at`-th call: before it, in the middle (Stripe has done it and nobody
 * here hears of it) or with the answer just received. After that nothing it does has an effect.
 */
export function dyingAt(at: number, when: 'before' | 'after', gateway: StripeGateway): StripeGateway {
  let calls = 0;
  return new Proxy(gateway, {
    get(target, name, receiver) {
      const method: unknown = Reflect.get(target, name, receiver);
      if (typeof method !== 'function') return method;
      return async (...args: unknown[]) => {
        calls += 1;
        if (calls > at || (calls === at && when === 'before')) throw new Error('the process died');
        const answer: unknown = await Reflect.apply(method, target, args);
        if (calls === at) throw new Error('the process died');
        return answer;
      };
    },
  });
}
