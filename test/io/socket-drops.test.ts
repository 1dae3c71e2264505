import { expect } from 'chai';
import { parseDrops } from '../../src/io/socket-drops.ts';

// cat /proc/net/udp, Linux 6.1, with a socket at 198.51.100.1:4754 that nobody read.
const TABLE = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  412: 016433C6:1292 00000000:0000 07 00000000:00033900 00:00000000 00000000     0        0 31337 2 0000000000000000 1523
  500: 00000000:1194 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31338 2 0000000000000000 7
`;

describe('socket drops', () => {
  it('socket drops finds the socket by address and port', () => {
    expect(parseDrops(TABLE, '198.51.100.1', 4754)).to.equal(1523);
    expect(parseDrops(TABLE, '0.0.0.0', 4500)).to.equal(7);
  });

  it('socket drops knows nothing of other sockets', () => {
    expect(parseDrops(TABLE, '198.51.100.1', 4755)).to.equal(0);
    expect(parseDrops(TABLE, '198.51.100.2', 4754)).to.equal(0);
    expect(parseDrops('', '198.51.100.1', 4754)).to.equal(0);
  });
});
