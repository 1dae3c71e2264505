import { CouplingError } from '../coupling/errors.ts';

export type Role = 'route' | 'target';

export interface PeerIdentity {
  readonly role: Role;
  readonly host: string;
}

/**
 * Host and role in a certificate: one DNS name in the subjectAltName, `<host>.<role>.dvipa.invalid`. One name
 * for both, so that a certificate with several names cannot be read as host A in the role of host B; a DNS
 * name, because strongSwan's `pki` 5.9 encodes no URI; under `.invalid` (RFC 6761), so that it is no one's name.
 */
export function identityName({ role, host }: PeerIdentity): string {
  return `${host}.${role}.dvipa.invalid`;
}

const SUFFIX = '.dvipa.invalid';
const IDENTITY = /^((?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+)(route|target)\.dvipa\.invalid$/;

/** Lower case DNS labels, room left for the suffix. */
export function isHostName(host: string): boolean {
  return host.length <= 200 && IDENTITY.test(identityName({ role: 'route', host }));
}

/**
 * Reads `subjectaltname` as Node prints it (`DNS:a, DNS:b, IP Address:...`). Undefined: no identity of ours,
 * or more than one. Node puts names with special characters in quotes: nothing of ours has them.
 */
export function parseIdentity(subjectAltName: string | undefined): PeerIdentity | undefined {
  if (subjectAltName === undefined || subjectAltName.includes('"')) return undefined;
  const ours = subjectAltName.split(', ').filter((name) => name.toLowerCase().endsWith(SUFFIX));
  const [only] = ours;
  if (ours.length !== 1 || only === undefined || !only.startsWith('DNS:')) return undefined;
  const match = IDENTITY.exec(only.slice('DNS:'.length));
  const [, labels, role] = match ?? [];
  if (labels === undefined || (role !== 'route' && role !== 'target')) return undefined;
  return { role, host: labels.slice(0, -1) };
}

/**
 * The peer that a certificate of our CA names, if it has the right role and is a configured host. Throws
 * `CouplingError`: `coupling-role`, or `coupling-certificate` for a host that is not configured or no name of ours.
 */
export function checkPeer(
  subjectAltName: string | undefined,
  role: Role,
  isConfigured: (host: string) => boolean,
): PeerIdentity {
  const identity = parseIdentity(subjectAltName);
  if (identity === undefined) {
    throw new CouplingError('coupling-certificate', 'the certificate names no host and role of ours');
  }
  if (identity.role !== role) {
    const message = `the certificate of ${identity.host} is for role ${identity.role}, not ${role}`;
    throw new CouplingError('coupling-role', message);
  }
  if (!isConfigured(identity.host)) {
    throw new CouplingError('coupling-certificate', `host ${identity.host} is not configured here`);
  }
  return identity;
}
