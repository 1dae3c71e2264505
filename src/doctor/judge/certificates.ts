import { fail, type Finding, ok, skipped, warn } from '../finding.ts';

export interface CertificateFacts {
  readonly file: string;
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface CredentialFacts {
  readonly now: number;
  readonly role: 'route' | 'target';
  readonly host: string;
  /** Of the CA's file; none, and the others undefined, if it cannot be read: `unreadable` says why. */
  readonly cas: readonly CertificateFacts[];
  readonly certificate:
    | (CertificateFacts & {
        /** Who it is of; undefined: no name of ours. */
        readonly identity: { readonly role: string; readonly host: string } | undefined;
        readonly isOfKey: boolean | undefined;
        readonly isIssuedByCa: boolean | undefined;
      })
    | undefined;
  readonly key:
    | {
        readonly file: string;
        readonly mode: number;
        readonly isOurs: boolean;
        /** Its group is that of the user whom the agent runs as. */
        readonly isAgentsGroup: boolean;
      }
    | undefined;
  /** By file. */
  readonly unreadable: readonly { readonly file: string; readonly reason: string }[];
  /** Undefined: nobody here knows. */
  readonly isClockSynchronised: boolean | undefined;
}

const DAY_MS = 86_400_000;
const WARN_DAYS = 30;

export function judgeCredentials(facts: CredentialFacts): Finding[] {
  const { cas, certificate, unreadable, now, host, role } = facts;
  const issue = `dvipa pki issue --role ${role} ${host}`;
  return [
    judgeKeyMode(facts),
    ...unreadable.map(({ file, reason }) => fail('certificate-key', reason, issue, file)),
    ...(certificate === undefined
      ? []
      : [
          judgeKey(certificate, issue),
          judgeChain(certificate, issue),
          judgeName(certificate, facts),
          judgeDates(certificate, now, issue),
        ]),
    ...cas.map((ca) => judgeDates(ca, now, 'make a new CA, and issue all hosts anew: dvipa pki init')),
    judgeClock(facts),
  ];
}

function judgeKeyMode({ key }: CredentialFacts): Finding {
  if (key === undefined) return skipped('key-mode', 'no key to look at');
  const mode = key.mode.toString(8).padStart(4, '0');
  if (!key.isOurs)
    return fail(
      'key-mode',
      `mode ${mode}, and it belongs to another user`,
      `chown root ${key.file}`,
      key.file,
    );
  if ((key.mode & 0o007) !== 0)
    return fail('key-mode', `mode ${mode}: everybody may read it`, `chmod o= ${key.file}`, key.file);
  if ((key.mode & 0o070) === 0 || key.isAgentsGroup) return ok('key-mode', mode, key.file);
  const remedy = `chmod g= ${key.file}, unless nobody but the agent's user is in that group`;
  return warn('key-mode', `mode ${mode}: its group may read it`, remedy, key.file);
}

type Certificate = NonNullable<CredentialFacts['certificate']>;

function judgeKey({ file, isOfKey }: Certificate, issue: string): Finding {
  if (isOfKey === undefined) return skipped('certificate-key', 'no key to compare with', file);
  return isOfKey
    ? ok('certificate-key', 'it is that of the key', file)
    : fail('certificate-key', 'it belongs to another key', `bring both of one issue, or ${issue}`, file);
}

function judgeChain({ file, isIssuedByCa }: Certificate, issue: string): Finding {
  if (isIssuedByCa === undefined) return skipped('certificate-chain', 'no CA to compare with', file);
  return isIssuedByCa
    ? ok('certificate-chain', 'issued by our CA', file)
    : fail('certificate-chain', 'issued by another CA', `bring the ca.pem of its issue, or ${issue}`, file);
}

function judgeName({ file, identity }: Certificate, { role, host }: CredentialFacts): Finding {
  const issue = `dvipa pki issue --role ${role} ${host}`;
  if (identity === undefined) return fail('certificate-name', 'it names no host of a cluster', issue, file);
  const found = `it is of ${identity.host} in role ${identity.role}`;
  if (identity.host === host && identity.role === role) return ok('certificate-name', found, file);
  return fail('certificate-name', `${found}; this is ${host} in role ${role}`, issue, file);
}

function judgeDates({ file, notBefore, notAfter }: CertificateFacts, now: number, issue: string): Finding {
  if (now < notBefore) {
    const found = `valid from ${dateOf(notBefore)}, and here it is ${dateOf(now)}`;
    return fail('certificate-dates', found, 'set the clock (see clock), or issue it anew', file);
  }
  if (now >= notAfter) return fail('certificate-dates', `expired on ${dateOf(notAfter)}`, issue, file);
  const days = Math.floor((notAfter - now) / DAY_MS);
  const found = `valid until ${dateOf(notAfter)}, ${days} days`;
  return days < WARN_DAYS
    ? warn('certificate-dates', found, issue, file)
    : ok('certificate-dates', found, file);
}

/** Leases and credits go by each host's own monotonic clock; only certificates and logs by the date. */
function judgeClock({ isClockSynchronised }: CredentialFacts): Finding {
  if (isClockSynchronised === undefined) return skipped('clock', 'nobody here tells (timedatectl)');
  if (isClockSynchronised) return ok('clock', 'set by a time server');
  const found = 'not set by a time server: certificates may count as expired, or not yet valid';
  return warn('clock', found, 'timedatectl set-ntp true');
}

function dateOf(time: number): string {
  return new Date(time).toISOString().slice(0, 10);
}
