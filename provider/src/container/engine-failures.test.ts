import { describe, expect, test } from 'vitest';
import { classifyPullFailure } from './pull-failure.ts';
import { classifyStartFailure } from './start-failure.ts';

describe('why a pull failed, from the words of the engine', () => {
  test.each([
    ['manifest for 127.0.0.1:5000/x:1 not found: manifest unknown: manifest unknown', 'image-not-found'],
    ['name unknown: repository name not known to registry', 'image-not-found'],
    ['docker.io/library/x:1: not found', 'image-not-found'],
    [
      "pull access denied for x, repository does not exist or may require 'docker login': denied: requested access to the resource is denied",
      'pull-denied',
    ],
    ['Head "https://ghcr.io/v2/a/b/manifests/1": unauthorized', 'pull-denied'],
    [
      'Get "http://127.0.0.1:9/v2/": dial tcp 127.0.0.1:9: connect: connection refused',
      'registry-unreachable',
    ],
    [
      'Get "https://nowhere.invalid/v2/": dial tcp: lookup nowhere.invalid: no such host',
      'registry-unreachable',
    ],
    [
      'Get "https://registry-1.docker.io/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)',
      'registry-unreachable',
    ],
    ['Get "https://10.0.0.1/v2/": dial tcp 10.0.0.1:443: i/o timeout', 'registry-unreachable'],
    ['Get "https://r.test/v2/": http: server gave HTTP response to HTTPS client', 'registry-unreachable'],
    ['Get "https://r.test/v2/": x509: certificate signed by unknown authority', 'registry-unreachable'],
    ['unexpected EOF', 'registry-unreachable'],
    ['toomanyrequests: You have reached your pull rate limit.', 'registry-rate-limited'],
    ['failed to register layer: write /weights: no space left on device', 'disk-full'],
    ['no matching manifest for linux/arm64/v8 in the manifest list entries', 'image-wrong-platform'],
    [
      'image with reference x was found but does not match the specified platform: wanted linux/amd64',
      'image-wrong-platform',
    ],
    ['invalid reference format: repository name must be lowercase', 'image-reference-invalid'],
    ['filesystem layer verification failed for digest sha256:00', 'pull-failed'],
  ] as const)('%s', (sentence, code) => {
    expect(classifyPullFailure(sentence)).toBe(code);
  });
});

describe('why a start failed, from the words of the engine', () => {
  test.each([
    ['could not select device driver "nvidia" with capabilities: [[gpu compute utility]]', 'gpu-unavailable'],
    [
      'OCI runtime create failed: nvidia-container-cli: device error: GPU-00: unknown device: unknown',
      'gpu-unavailable',
    ],
    [
      'runc create failed: unable to start container process: exec: "python": executable file not found in $PATH: unknown',
      'command-not-found',
    ],
    ['exec: "/bin/sh": stat /bin/sh: no such file or directory: unknown', 'command-not-found'],
    ['exec /train: exec format error', 'command-not-found'],
    ['exec: "/data": permission denied: unknown', 'command-not-found'],
    ['mkdir /var/lib/docker/overlay2/x: no space left on device', 'disk-full'],
    ['failed to create endpoint cf on network cf-1: failed to add the host', 'network-unavailable'],
    ['error setting rlimit type 7: operation not permitted: unknown', 'start-failed'],
  ] as const)('%s', (sentence, code) => {
    expect(classifyStartFailure(sentence)).toBe(code);
  });
});
