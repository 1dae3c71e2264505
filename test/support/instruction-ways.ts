import { nativeCrypto } from '../../src/io/native-crypto.ts';
import { skipBecause } from './summary-reporter.ts';

/** How the addon packet-crypto does its own cryptography, as `instructions` numbers it. */
const WAYS = ['portable', 'with AES-NI and PCLMULQDQ', 'with VAES'] as const;

/** The suite once for each way that this CPU has: what is made in its tests goes that way. */
export function describeEachWay(what: string, suite: () => void): void {
  WAYS.forEach((name, way) => {
    describe(`${what}, ${name}`, () => {
      before(function () {
        const best = nativeCrypto().instructions(way);
        if (best < way) skipBecause(this, `this CPU cannot do it ${name}`);
      });
      after(() => nativeCrypto().instructions(WAYS.length - 1));
      suite();
    });
  });
}
