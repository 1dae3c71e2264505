import { connect } from 'node:tls';
import { checkPeer } from './peer-identity.ts';
import { codeOf, type TlsCredentials, tlsOptions } from './tls-options.ts';

const TIMEOUT_MS = 3000;

export interface CouplingProbe {
  readonly router: { readonly host: string; readonly address: string; readonly port: number };
  readonly tls: TlsCredentials;
}

/** How far a connection got. `refused`: the other side closed after it had seen our certificate. */
export type CouplingReach =
  | { readonly step: 'done' }
  | {
      readonly step: 'connect' | 'handshake' | 'identity' | 'refused';
      readonly reason: string;
    };

/**
 * Connects as a target would and closes again before any record: the connection, then TLS with both certificates and the
 * name in theirs. TLS 1.3 tells a client only afterwards that its certificate was refused, so this waits a moment.
 */
export function probeCoupling({ router, tls }: CouplingProbe): Promise<CouplingReach> {
  return new Promise((resolve) => {
    let identity: Error | undefined;
    let step: 'connect' | 'handshake' | 'refused' = 'connect';
    const socket = connect({
      ...tlsOptions(tls),
      host: router.address,
      port: router.port,
      checkServerIdentity: (_name, { subjectaltname }) => {
        try {
          checkPeer(subjectaltname, 'route', (host) => host === router.host);
          return undefined;
        } catch (error) {
          identity = error as Error;
          return identity;
        }
      },
    });
    const end = (reach: CouplingReach) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reach);
    };
    const timer = setTimeout(() => end({ step, reason: 'no answer' }), TIMEOUT_MS);
    socket.once('connect', () => (step = 'handshake'));
    socket.once('secureConnect', () => {
      step = 'refused';
      setTimeout(() => end({ step: 'done' }), 200);
    });
    socket.on('error', (error) => {
      if (identity !== undefined) end({ step: 'identity', reason: identity.message });
      else end({ step, reason: codeOf(error) ?? error.message });
    });
    socket.on('close', () => end({ step, reason: 'closed by the other side' }));
  });
}
