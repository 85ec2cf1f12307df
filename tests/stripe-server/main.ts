import { startStripeServer } from './server.ts';

// `npm run stripe-server [-- PORT [WEBHOOK_URL WEBHOOK_SECRET]]`: a stand-in for Stripe on this machine. Keys
// are sk_test_ and anything; nothing is kept when it ends.
const [port = '12111', webhookUrl, secret] = process.argv.slice(2);
const server = await startStripeServer({ port: Number(port) });
if (webhookUrl !== undefined) {
  await server.control('register-webhook', { url: webhookUrl, secret: secret ?? 'whsec_standin' });
}
process.stdout.write(
  [
    `The stand-in for Stripe listens at ${server.url}. No money moves.`,
    'Settings of the orchestrator that use it:',
    `  STRIPE_API_BASE=${server.url}`,
    '  STRIPE_SECRET_KEY=sk_test_standin',
    `  STRIPE_WEBHOOK_SECRET=${secret ?? 'whsec_standin'}`,
    webhookUrl === undefined
      ? 'Events are sent to nobody. To send them: npm run stripe-server -- 12111 http://127.0.0.1:4000/webhooks/stripe whsec_standin'
      : `Events are sent to ${webhookUrl}.`,
    '',
  ].join('\n'),
);
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void server.close().then(() => process.exit(0)));
}
