import { createServer } from 'node:http';

/** A registry that has no image: it speaks the protocol and knows no name. */
export async function startEmptyRegistry() {
  const server = createServer((request, response) => {
    const isPing = request.url === '/v2/';
    response.writeHead(isPing ? 200 : 404, {
      'content-type': 'application/json',
      'docker-distribution-api-version': 'registry/2.0',
    });
    response.end(isPing ? '{}' : '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => {
        server.close(resolve);
      });
    },
  };
}
