import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { parseIdentity } from '../../io/peer-identity.ts';
import { CommandError, runCommand } from '../../io/run-command.ts';
import type { Finding } from '../finding.ts';
import { type CertificateFacts, type CredentialFacts, judgeCredentials } from '../judge/certificates.ts';
import { reasonOf } from './outcome.ts';
import type { Situation } from './situation.ts';

export async function lookAtCertificates({ config }: Situation): Promise<Finding[]> {
  const { coupling: files, role, host } = config;
  const unreadable: { file: string; reason: string }[] = [];
  const read = async <T>(file: string, parse: (text: string) => T): Promise<T | undefined> => {
    try {
      return parse(await readFile(file, 'latin1'));
    } catch (error) {
      unreadable.push({ file, reason: reasonOf(error) });
      return undefined;
    }
  };
  const cas = await read(files.ca, certificatesIn);
  const certificate = await read(files.certificate, (text) => new X509Certificate(text));
  const key = await read(files.key, (text) => createPrivateKey(text));
  return judgeCredentials({
    now: Date.now(),
    role,
    host,
    cas: cas?.map((ca) => datesOf(files.ca, ca)) ?? [],
    certificate: certificate && {
      ...datesOf(files.certificate, certificate),
      identity: parseIdentity(certificate.subjectAltName),
      isOfKey: key && certificate.checkPrivateKey(key),
      isIssuedByCa: cas?.some((ca) => isIssuedBy(certificate, ca)),
    },
    key: await keyFile(files.key, key, config.admin.socket),
    unreadable,
    isClockSynchronised: await isClockSynchronised(),
  });
}

/** While a CA is replaced there are two in the file. */
function certificatesIn(text: string): X509Certificate[] {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs);
  return (blocks ?? [text]).map((block) => new X509Certificate(block));
}

function datesOf(file: string, certificate: X509Certificate): CertificateFacts {
  const { validFrom, validTo } = certificate;
  return { file, notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) };
}

function isIssuedBy(certificate: X509Certificate, ca: X509Certificate): boolean {
  return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
}

/** Its owner may be root, this user, or the one that the agent runs as: who has its socket. So may its group. */
async function keyFile(
  file: string,
  key: KeyObject | undefined,
  adminSocket: string,
): Promise<CredentialFacts['key']> {
  if (key === undefined) return undefined;
  const { mode, uid, gid } = await stat(file);
  const agent = await stat(adminSocket).catch(() => undefined);
  const isOurs = [0, process.geteuid?.(), agent?.uid].includes(uid);
  return { file, mode: mode & 0o777, isOurs, isAgentsGroup: agent !== undefined && agent.gid === gid };
}

async function isClockSynchronised(): Promise<boolean | undefined> {
  if (!existsSync('/run/systemd/system')) return undefined;
  try {
    const text = await runCommand('timedatectl', ['show', '--property', 'NTPSynchronized', '--value']);
    return text.trim() === 'yes';
  } catch (error) {
    if (error instanceof CommandError) return undefined;
    throw error;
  }
}
