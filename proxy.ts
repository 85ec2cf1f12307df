import { type NextRequest, NextResponse } from 'next/server';
import { isDevelopment } from '@/lib/config.ts';
import { contentSecurityPolicy } from '@/lib/content-security-policy.ts';

/**
 * Gives every page its own nonce. Next finds it in the request's policy and puts it on its scripts; the
 * layout reads `x-nonce` for the scripts and styles that are ours.
 */
export function proxy(request: NextRequest): NextResponse {
  const nonce = btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))));
  const policy = contentSecurityPolicy({ nonce, development: isDevelopment });
  const headers = new Headers(request.headers);
  headers.set('x-nonce', nonce);
  headers.set('content-security-policy', policy);
  const response = NextResponse.next({ request: { headers } });
  response.headers.set('content-security-policy', policy);
  return response;
}

export const config = {
  // Files with a hash in their name and downloads need no policy of their own.
  matcher: ['/((?!api/|_next/static|_next/image|icon.svg).*)'],
};
