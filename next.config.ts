import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { NextConfig } from 'next';

const repositoryRoot = path.dirname(fileURLToPath(import.meta.url));

/**
 * Headers that are the same for every answer. The Content-Security-Policy is not here: it carries a fresh
 * nonce for each page and is written by proxy.ts.
 */
const fixedSecurityHeaders = [
  { key: 'X-Content-Type-Options', value: 'nosniff' },
  { key: 'X-Frame-Options', value: 'DENY' },
  { key: 'Referrer-Policy', value: 'strict-origin-when-cross-origin' },
  { key: 'Cross-Origin-Opener-Policy', value: 'same-origin' },
  // In local mode a request needs no cookie, so other sites must not be able to load our answers as
  // images, scripts or fonts either.
  { key: 'Cross-Origin-Resource-Policy', value: 'same-origin' },
  { key: 'Permissions-Policy', value: 'camera=(), geolocation=(), microphone=(), payment=(), usb=()' },
];

const nextConfig: NextConfig = {
  // Both roots are set because a lockfile in a parent directory would otherwise move them.
  outputFileTracingRoot: repositoryRoot,
  turbopack: { root: repositoryRoot },
  // Our workspaces ship TypeScript source.
  transpilePackages: [
    '@computefabric/api-client',
    '@computefabric/db',
    '@computefabric/protocol',
    '@computefabric/runtime',
  ],
  serverExternalPackages: ['pg'],
  poweredByHeader: false,
  // The development badge covers the foot of the sidebar.
  devIndicators: false,
  reactStrictMode: true,
  // `next dev` would otherwise write instruction files for coding agents into the repository.
  agentRules: false,
  experimental: { agentUpgrade: false },
  headers: async () => [{ source: '/:path*', headers: fixedSecurityHeaders }],
};

export default nextConfig;
