import { expect } from 'chai';
import { parsePcap } from '../../src/lab/pcap.ts';
import {
  classifyCluster,
  classifyOutside,
  countClasses,
  countPacketsWith,
} from '../../src/lab/wire-class.ts';

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

/** An Ethernet frame around an IPv4 packet of this protocol. */
function ipv4(protocol: number, payload: Buffer, fragment = 0): Buffer {
  const header = hex('4500 0000 0000 0000 40 00 0000 c0000265 c000020a');
  header.writeUInt16BE(20 + payload.length, 2);
  header.writeUInt16BE(fragment, 6);
  header[9] = protocol;
  return Buffer.concat([hex('020000000001 020000000002 0800'), header, payload]);
}

function ipv6(nextHeader: number, payload: Buffer): Buffer {
  const header = hex('60000000 0000 00 40 20010db8000000000000000000000101 20010db8000000000000000000000010');
  header.writeUInt16BE(payload.length, 4);
  header[6] = nextHeader;
  return Buffer.concat([hex('020000000001 020000000002 86dd'), header, payload]);
}

function udp(source: number, destination: number, data: Buffer): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(source, 0);
  header.writeUInt16BE(destination, 2);
  header.writeUInt16BE(8 + data.length, 4);
  return Buffer.concat([header, data]);
}

/** An IKE_SA_INIT request's header (RFC 7296 §3.1), with a body of 12 zero bytes. */
const ike = Buffer.concat([
  hex('1122334455667788 0000000000000000 21 20 22 08 00000000 00000028'),
  Buffer.alloc(12),
]);
const esp = Buffer.concat([hex('c0ffee01 00000001'), Buffer.alloc(40)]);

describe('wire classes of the outside network', () => {
  const cases: [string, Buffer, string][] = [
    ['IKE on port 500', ipv4(17, udp(500, 500, ike)), 'ike'],
    [
      'IKE on port 4500, after four zero bytes',
      ipv4(17, udp(4500, 4500, Buffer.concat([Buffer.alloc(4), ike]))),
      'ike',
    ],
    ['a NAT keep-alive (RFC 3948 §2.3)', ipv4(17, udp(4500, 4500, hex('ff'))), 'nat-keepalive'],
    ['ESP in UDP', ipv4(17, udp(4500, 31337, esp)), 'esp'],
    ['ESP as protocol 50', ipv4(50, esp), 'esp'],
    ['ARP', hex('ffffffffffff 020000000002 0806 0001080006040001'), 'arp'],
    ['ESP as protocol 50 in IPv6', ipv6(50, esp), 'esp'],
    ['ESP in UDP in IPv6', ipv6(17, udp(4500, 4500, esp)), 'esp'],
    ['a neighbour solicitation', ipv6(58, hex('8700 0000 00000000')), 'neighbour'],
    [
      'a multicast listener report behind hop-by-hop options',
      ipv6(0, hex('3a00 0502 0000 0100 8f00 0000 00000001')),
      'neighbour',
    ],
    ['an echo request in IPv6', ipv6(58, hex('8000 0000 00010001')), 'other'],
    ['TCP in IPv6', ipv6(6, Buffer.alloc(40)), 'other'],
    [
      'an IPv6 frame that holds something else',
      Buffer.concat([hex('020000000001 020000000002 86dd'), Buffer.alloc(60)]),
      'other',
    ],
    ['TCP, whatever its port', ipv4(6, Buffer.alloc(40)), 'other'],
    ['UDP of another port', ipv4(17, udp(53, 53, esp)), 'other'],
    [
      'port 500 with no IKE in it',
      ipv4(17, udp(500, 500, Buffer.from('GET / HTTP/1.1\r\n\r\nHost: 203.0.113.10'))),
      'other',
    ],
    [
      'an IKE header whose length does not fit',
      ipv4(17, udp(500, 500, Buffer.concat([ike, hex('00')]))),
      'other',
    ],
    [
      'an SPI that is reserved (RFC 4303 §2.1)',
      ipv4(17, udp(4500, 4500, hex('000000ff 00000001 00000000'))),
      'other',
    ],
    ['a fragment', ipv4(17, udp(500, 500, ike), 0x2000), 'other'],
    ['ICMP', ipv4(1, Buffer.alloc(8)), 'other'],
    [
      'an unreachable IKE port',
      ipv4(1, Buffer.concat([hex('0303 0000 00000000'), ipv4(17, udp(500, 500, ike)).subarray(14)])),
      'unreachable',
    ],
    [
      'an unreachable port of anything else',
      ipv4(1, Buffer.concat([hex('0303 0000 00000000'), ipv4(17, udp(53, 53, esp)).subarray(14)])),
      'other',
    ],
    ['IPv6', hex('020000000001 020000000002 86dd 60000000 0000 3a ff'), 'other'],
    ['a frame that ends in its header', hex('0200000000'), 'other'],
    ['an IPv4 packet cut short', hex('020000000001 020000000002 0800 4500 0014'), 'other'],
  ];
  for (const [name, frame, expected] of cases) {
    it(`takes ${name} for ${expected}`, () => expect(classifyOutside(frame)).to.equal(expected));
  }

  it('never throws, wherever a frame is cut off', () => {
    for (const [, frame] of cases) {
      for (let length = 0; length <= frame.length; length += 1) classifyOutside(frame.subarray(0, length));
    }
  });
});

describe('wire classes of the cluster network', () => {
  it('knows the coupling channel, the trusted link and ARP, and nothing else', () => {
    expect(classifyCluster(ipv4(6, udp(40_000, 4754, Buffer.alloc(20))))).to.equal('coupling');
    expect(classifyCluster(ipv4(17, udp(40_000, 4754, esp)))).to.equal('link');
    expect(classifyCluster(hex('ffffffffffff 020000000002 0806 00'))).to.equal('arp');
    expect(classifyCluster(ipv4(6, udp(40_000, 80, Buffer.alloc(20))))).to.equal('other');
    expect(classifyCluster(ipv4(4, esp))).to.equal('other');
  });

  it('knows an unreachable link port, and no other ICMP', () => {
    const quoting = (port: number) => ipv4(17, udp(4754, port, esp)).subarray(14);
    const unreachable = (about: Buffer) => ipv4(1, Buffer.concat([hex('03 03 0000 00000000'), about]));
    expect(classifyCluster(unreachable(quoting(4754)))).to.equal('unreachable');
    expect(classifyCluster(unreachable(ipv4(17, udp(80, 80, esp)).subarray(14)))).to.equal('other');
    expect(classifyCluster(unreachable(hex('45')))).to.equal('other');
    expect(classifyCluster(ipv4(1, hex('0800 0000 00010001')))).to.equal('other');
  });
});

describe('pcap', () => {
  const packet = ipv4(50, esp);
  const record = (bytes: Buffer) => {
    const header = Buffer.alloc(16);
    header.writeUInt32LE(bytes.length, 8);
    header.writeUInt32LE(bytes.length, 12);
    return Buffer.concat([header, bytes]);
  };
  const fileHeader = hex('d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000');

  it('is read packet by packet, and what is cut off at its end is left out', () => {
    const file = Buffer.concat([
      fileHeader,
      record(packet),
      record(Buffer.from('..MARKER..')),
      record(packet).subarray(0, 30),
    ]);
    const capture = parsePcap(file, 'x.pcap');
    expect(capture.linkType).to.equal(1);
    expect(capture.packets.map(({ bytes }) => bytes.length)).to.deep.equal([packet.length, 10]);
    expect(countClasses(capture, classifyOutside)).to.deep.equal({ esp: 1, other: 1 });
    expect(countPacketsWith(capture, 'MARKER')).to.equal(1);
  });

  it('is refused if it is something else', () => {
    expect(() => parsePcap(Buffer.alloc(24), 'x.pcap')).to.throw('x.pcap: not a pcap file');
    expect(() => parsePcap(Buffer.alloc(3), 'x.pcap')).to.throw('too short');
  });
});
