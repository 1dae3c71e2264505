import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import { packetCryptos } from '../../src/agents/packet-cryptos.ts';
import { createLog } from '../../src/observe/log.ts';

describe('the cryptography of packets', () => {
  it('is named in the log, with the reason if it is not what was asked for', () => {
    const stream = new PassThrough();
    const log = createLog({ level: 'info', format: 'text', stream });
    packetCryptos({ library: 'ipsec-mb' }, log, undefined, () => {
      throw new Error('no addon here');
    });
    const said = String(stream.read());
    expect(said).to.contain('library=node').and.to.contain('no addon here');
  });
});
