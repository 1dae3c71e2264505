import { expect } from 'chai';
import { packetCryptos } from '../../src/agents/packet-cryptos.ts';
import { chooseCryptoLibrary } from '../../src/io/crypto-library.ts';
import { EspNativeCrypto } from '../../src/io/esp-native-crypto.ts';
import { EspNodeCrypto } from '../../src/ipsec/esp-node-crypto.ts';
import type { Log } from '../../src/observe/log.ts';

const withMb = () => ({ libraries: () => ({ openssl: 'OpenSSL 3', ipsecMb: '1.3.0' }) });
const withoutMb = () => ({ libraries: () => ({ openssl: 'OpenSSL 3', ipsecMbMissing: 'no such library' }) });
const withoutAddon = () => {
  throw new Error('not built');
};

describe('the choice of a library for cryptography', () => {
  const chosen = (...given: Parameters<typeof chooseCryptoLibrary>) => {
    const { name, because } = chooseCryptoLibrary(...given);
    return [name, because];
  };

  it('takes the fastest that there is, and says what a faster one lacks', () => {
    expect(chosen('auto', withMb)).to.deep.equal(['ipsec-mb', undefined]);
    expect(chosen('auto', withoutMb)).to.deep.equal(['openssl', 'no such library']);
    expect(chosen('auto', withoutAddon)).to.deep.equal(['node', 'not built']);
  });

  it('takes what was asked for, or the next best with the reason', () => {
    expect(chosen('ipsec-mb', withMb)).to.deep.equal(['ipsec-mb', undefined]);
    expect(chosen('ipsec-mb', withoutMb)).to.deep.equal(['openssl', 'no such library']);
    expect(chosen('openssl', withMb)).to.deep.equal(['openssl', undefined]);
    expect(chosen('openssl', withoutAddon)).to.deep.equal(['node', 'not built']);
    expect(chosen('node', withMb)).to.deep.equal(['node', undefined]);
  });

  it('finds the addon in this checkout, and each is the cryptography that it says', () => {
    const { name, newCrypto } = chooseCryptoLibrary('openssl');
    expect(name).to.equal('openssl');
    expect(newCrypto()).to.be.instanceOf(EspNativeCrypto);
    expect(chooseCryptoLibrary('node').newCrypto()).to.be.instanceOf(EspNodeCrypto);
  });

  it('is told in one line of the log, a warning only if it is slower than what was asked for', () => {
    const lines: unknown[] = [];
    const tell = (level: string) => (message: string, fields?: object) =>
      void lines.push({ level, message, fields });
    const log = { info: tell('info'), warn: tell('warn') } as unknown as Log;
    packetCryptos({ library: 'auto' }, log, undefined, withoutMb);
    packetCryptos({ library: 'ipsec-mb' }, log, undefined, withoutMb);
    packetCryptos({ library: 'auto' }, log, undefined, withoutAddon);
    packetCryptos({ library: 'openssl' }, log, undefined, withMb);
    const message = 'cryptography of packets';
    const openssl = { library: 'openssl', version: 'OpenSSL 3' };
    const node = { library: 'node', version: process.versions['openssl'] };
    expect(lines).to.deep.equal([
      { level: 'info', message, fields: { ...openssl, reason: 'no such library' } },
      { level: 'warn', message, fields: { ...openssl, reason: 'no such library' } },
      { level: 'warn', message, fields: { ...node, reason: 'not built' } },
      { level: 'info', message, fields: openssl },
    ]);
  });
});
