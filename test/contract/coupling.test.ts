import type { TlsCredentials } from '../../src/io/tls-options.ts';
import { TestAuthority } from '../support/coupling-certificates.ts';
import { makePair } from '../support/coupling-pair.ts';
import { describeCoupling } from './coupling.ts';

describeCoupling('memory', () => makePair({ real: false }));
describeCoupling('memory, byte by byte', () => makePair({ real: false, pieceBytes: 1 }));

describe('with certificates', () => {
  let authority: TestAuthority;
  let credentials: { route: TlsCredentials; target: TlsCredentials };

  before(async () => {
    authority = await TestAuthority.create();
    credentials = {
      route: await authority.issue('route', 'router1'),
      target: await authority.issue('target', 'target1'),
    };
  });

  after(() => authority.remove());

  describeCoupling('TLS on loopback', () => makePair({ real: true, credentials }));
});
