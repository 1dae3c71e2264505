import { expect } from 'chai';
import {
  parseSocketRow,
  receives,
  SOCKET_LISTENS,
  SOCKET_UNCONNECTED,
} from '../../src/io/proc-net-sockets.ts';
import { formatAddress, ipv4Address, newAddress } from '../../src/packet/address.ts';
import { addr } from '../support/inner-packets.ts';

// Linux 6.1, x86-64: rows of sshd on every address, a proxy on one, and what else there is.
const TCP =
  '   1: 0A7100CB:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31337 1 0 100 0 0 10 0';
const TCP6 =
  '   3: B80D0120000000000000000010000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31339 1 0 100 0 0 10 0';
const MAPPED =
  '   4: 0000000000000000FFFF00000A7100CB:1F91 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 31340 1 0 100 0 0 10 0';
const UDP =
  '  412: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31341 2 0 0';

const read = (line: string) => {
  const row = parseSocketRow(line);
  return row && [formatAddress(row.address), row.port, row.state];
};

describe('rows of /proc/net', () => {
  it('have addresses in words of the machine, ports in hexadecimal, and a state', () => {
    expect(read(TCP)).to.deep.equal(['203.0.113.10', 8080, SOCKET_LISTENS]);
    expect(read(TCP6)).to.deep.equal(['2001:db8::10', 443, SOCKET_LISTENS]);
    expect(read(UDP)).to.deep.equal(['0.0.0.0', 5353, SOCKET_UNCONNECTED]);
  });

  it('of an IPv6 socket on an IPv4 address count as that address', () => {
    expect(read(MAPPED)).to.deep.equal(['203.0.113.10', 8081, SOCKET_LISTENS]);
  });

  const bad: readonly [string, string][] = [
    [
      'the names of the columns',
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid',
    ],
    ['nothing', ''],
    ['a port with too few digits', TCP.replace(':1F90', ':1F9')],
    ['an address with too many', TCP.replace('0A7100CB', '0A7100CB0')],
    ['what is no hexadecimal number', TCP.replace('0A7100CB', '0A7100CG')],
    ['a row that ends before its state', TCP.slice(0, 35)],
    ['something in front', `x${TCP}`],
    ['a very long row', TCP + ' '.repeat(512)],
  ];
  for (const [what, line] of bad) {
    it(`are not ${what}`, () => {
      expect(parseSocketRow(line)).to.equal(undefined);
    });
  }
});

describe('a socket', () => {
  const v4 = addr('203.0.113.10');
  const v6 = addr('2001:db8::10');

  it('on the DVIPA receives what comes for it, and one on another address does not', () => {
    expect([receives(v4, v4), receives(v6, v6)]).to.deep.equal([true, true]);
    expect([receives(addr('203.0.113.11'), v4), receives(addr('2001:db8::11'), v6)]).to.deep.equal([
      false,
      false,
    ]);
    expect([receives(v6, v4), receives(v4, v6)]).to.deep.equal([false, false]);
    expect(receives(addr('127.0.0.1'), v4)).to.equal(false);
    expect(receives(addr('::1'), v6)).to.equal(false);
  });

  it('on every IPv4 address serves IPv4, one on every IPv6 address both', () => {
    const [any4, any6] = [ipv4Address(0), newAddress()];
    expect([receives(any4, v4), receives(any4, v6)]).to.deep.equal([true, false]);
    expect([receives(any6, v4), receives(any6, v6)]).to.deep.equal([true, true]);
  });
});
