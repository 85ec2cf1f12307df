/**
 * The Content-Security-Policy of a page. Everything comes from our own origin; an inline script or style
 * sheet runs only when it carries this page's nonce; nobody may frame us or send our forms elsewhere.
 *
 * `development` loosens exactly what the development server needs: evaluation for error overlays, style
 * elements without a nonce, and the socket of hot reloading.
 */
export function contentSecurityPolicy({
  nonce,
  development,
}: {
  nonce: string;
  development: boolean;
}): string {
  const directives: Record<string, string> = {
    'default-src': "'none'",
    'script-src': `'self' 'nonce-${nonce}' 'strict-dynamic'${development ? " 'unsafe-eval'" : ''}`,
    'style-src': development
      ? "'self' 'unsafe-inline'"
      : `'self' 'nonce-${nonce}' ${emptyStyleHash} ${toasterStyleHash}`,
    'img-src': "'self' data:",
    'font-src': "'self'",
    'connect-src': development ? "'self' ws:" : "'self'",
    'manifest-src': "'self'",
    'base-uri': "'none'",
    'form-action': "'self'",
    'frame-ancestors': "'none'",
  };
  return Object.entries(directives)
    .map(([name, value]) => `${name} ${value}`)
    .join('; ');
}

/**
 * The toast library adds its style sheet as an element without a nonce, empty at first. Its text is constant,
 * so the policy allows exactly that text and the empty one by their hashes; the unit test recomputes them.
 */
export const emptyStyleHash = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";
export const toasterStyleHash = "'sha256-StEaX+se6YS7pqjzrzMIA0KaX9zF/8zAhvQXZAe5epY='";
