import { expect } from 'chai';
import { captureFilter } from '../../src/io/bpf.ts';
import { ipv4Address, parseAddress, type IpAddress } from '../../src/packet/address.ts';
import { passesOf, runBpf } from './bpf-interpreter.ts';

const DVIPA = 0xcb00710a; // 203.0.113.10
const ENDPOINT = 0xc000020a; // 192.0.2.10
const OTHER = 0xc0000201;
const OTHER_FAMILY = [parseAddress('2001:db8::10') as IpAddress, parseAddress('2001:db8:1::20') as IpAddress];

/** An IPv4 packet; `flags` is the flags and fragment offset word. */
function ipv4(destination: number, protocol: number, payload: string, flags = 0x4000, options = ''): Buffer {
  const header = Buffer.alloc(20 + options.length / 2);
  header[0] = 0x40 | (header.length / 4);
  header.writeUInt16BE(flags, 6);
  header[8] = 64;
  header[9] = protocol;
  header.writeUInt32BE(0xc0000265, 12);
  header.writeUInt32BE(destination, 16);
  header.write(options, 20, 'hex');
  const packet = Buffer.concat([header, Buffer.from(payload, 'hex')]);
  packet.writeUInt16BE(packet.length, 2);
  return packet;
}

function udp(port: number, payload: string, lengthBytes = 8 + payload.length / 2): string {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(4500, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt16BE(lengthBytes, 4);
  return header.toString('hex') + payload;
}

const esp = 'c123456700000001' + 'aa'.repeat(40);
const ikeNatt = '000000001122334455667788' + '00'.repeat(20);

describe('capture filter', () => {
  const scope = {
    dvipas: [ipv4Address(DVIPA), ...OTHER_FAMILY.slice(0, 1)],
    endpoints: [...OTHER_FAMILY.slice(1), ipv4Address(ENDPOINT)],
  };
  const filter = captureFilter(scope);
  const passes = passesOf(scope);

  const table: { it: string; packet: Buffer; dvipa: boolean; endpoint: boolean }[] = [
    { it: 'ESP in UDP', packet: ipv4(0, 17, udp(4500, esp)), dvipa: true, endpoint: true },
    {
      it: 'ESP in UDP behind IP options',
      packet: ipv4(0, 17, udp(4500, esp), 0, '0101010101010100'),
      dvipa: true,
      endpoint: true,
    },
    { it: 'ESP as IP protocol 50', packet: ipv4(0, 50, esp), dvipa: true, endpoint: true },
    {
      it: 'the first fragment of ESP in UDP',
      packet: ipv4(0, 17, udp(4500, esp, 3000), 0x2000),
      dvipa: true,
      endpoint: true,
    },
    { it: 'a later fragment of UDP', packet: ipv4(0, 17, esp, 0x0010), dvipa: true, endpoint: true },
    { it: 'a first fragment of ESP', packet: ipv4(0, 50, esp, 0x2000), dvipa: true, endpoint: true },
    { it: 'a later fragment of ESP', packet: ipv4(0, 50, 'aa', 0x0010), dvipa: true, endpoint: true },
    {
      it: 'a first fragment of IKE, which is recognised when it is whole',
      packet: ipv4(0, 17, udp(500, esp, 3000), 0x2000),
      dvipa: true,
      endpoint: true,
    },
    { it: 'a fragment of TCP', packet: ipv4(0, 6, esp, 0x2010), dvipa: true, endpoint: false },
    { it: 'IKE on port 500', packet: ipv4(0, 17, udp(500, esp)), dvipa: false, endpoint: false },
    { it: 'IKE on port 4500', packet: ipv4(0, 17, udp(4500, ikeNatt)), dvipa: false, endpoint: false },
    { it: 'a NAT keep-alive', packet: ipv4(0, 17, udp(4500, 'ff')), dvipa: false, endpoint: false },
    { it: 'half an SPI', packet: ipv4(0, 17, udp(4500, 'c123')), dvipa: true, endpoint: true },
    {
      it: 'a datagram shorter than its UDP length',
      packet: ipv4(0, 17, udp(4500, 'c123', 60)),
      dvipa: true,
      endpoint: true,
    },
    { it: 'half a UDP header', packet: ipv4(0, 17, '11941194'), dvipa: true, endpoint: true },
    {
      it: 'an IP header longer than the packet',
      packet: Buffer.from([0x4f, ...ipv4(0, 17, '11').subarray(1)]),
      dvipa: true,
      endpoint: true,
    },
    { it: 'UDP to another port', packet: ipv4(0, 17, udp(53, esp)), dvipa: true, endpoint: false },
    { it: 'TCP', packet: ipv4(0, 6, '00500050' + '00'.repeat(16)), dvipa: true, endpoint: false },
    { it: 'ICMP', packet: ipv4(0, 1, '0800000000000000'), dvipa: true, endpoint: false },
    {
      it: 'ICMP "fragmentation needed"',
      packet: ipv4(0, 1, '0304000000000578' + '00'.repeat(28)),
      dvipa: true,
      endpoint: true,
    },
    {
      it: 'ICMP "fragmentation needed" behind IP options',
      packet: ipv4(0, 1, '0304000000000578' + '00'.repeat(28), 0, '01010100'),
      dvipa: true,
      endpoint: true,
    },
    { it: 'ICMP "port unreachable"', packet: ipv4(0, 1, '0303000000000000'), dvipa: true, endpoint: false },
    { it: 'ICMP without a code', packet: ipv4(0, 1, '03'), dvipa: true, endpoint: false },
    {
      it: 'a fragment of ICMP that reads like "fragmentation needed"',
      packet: ipv4(0, 1, '0304000000000578', 0x0010),
      dvipa: true,
      endpoint: false,
    },
    { it: 'ICMPv6 in IPv4', packet: ipv4(0, 58, '0200000000000578'), dvipa: true, endpoint: false },
  ];

  for (const row of table) {
    const at = (address: number) => {
      const packet = Buffer.from(row.packet);
      packet.writeUInt32BE(address, 16);
      return packet;
    };
    it(`capture filter ${row.dvipa ? 'passes' : 'leaves'} ${row.it} to a DVIPA`, () => {
      expect(passes(at(DVIPA))).to.equal(row.dvipa);
    });
    it(`capture filter ${row.endpoint ? 'passes' : 'leaves'} ${row.it} to an endpoint`, () => {
      expect(passes(at(ENDPOINT))).to.equal(row.endpoint);
    });
    it(`capture filter leaves ${row.it} to any other address`, () => {
      expect(passes(at(OTHER))).to.equal(false);
    });
  }

  it('capture filter leaves what the link addressed to others, broadcast, or sent itself', () => {
    const packet = ipv4(DVIPA, 17, udp(4500, esp));
    for (const type of [1, 2, 3, 4]) expect(passes(packet, type), `type ${type}`).to.equal(false);
  });

  it('capture filter leaves what is not what the EtherType says, other EtherTypes, and the empty packet', () => {
    const packet = ipv4(DVIPA, 17, udp(4500, esp));
    expect(runBpf(filter, packet, { etherType: 0x0800 })).to.be.greaterThan(0);
    for (const etherType of [0x86dd, 0x0806, 0x8100])
      expect(runBpf(filter, packet, { etherType }), etherType.toString(16)).to.equal(0);
    packet[0] = 0x65;
    expect(runBpf(filter, packet, { etherType: 0x0800 })).to.equal(0);
    expect(passes(Buffer.alloc(0))).to.equal(false);
  });

  it('capture filter never passes a truncation that has no destination', () => {
    const packet = ipv4(DVIPA, 17, udp(4500, esp));
    for (let n = 0; n < 20; n++) expect(passes(packet.subarray(0, n)), `${n} bytes`).to.equal(false);
    for (let n = 20; n <= packet.length; n++)
      expect(passes(packet.subarray(0, n)), `${n} bytes`).to.equal(true);
  });

  it('capture filter treats an address that is DVIPA and endpoint as a DVIPA', () => {
    const both = captureFilter({ dvipas: [ipv4Address(DVIPA)], endpoints: [ipv4Address(DVIPA)] });
    expect(runBpf(both, ipv4(DVIPA, 6, '00'.repeat(20)))).to.be.greaterThan(0);
  });

  it('capture filter of one family passes nothing of the other', () => {
    const other = captureFilter({ dvipas: OTHER_FAMILY, endpoints: OTHER_FAMILY });
    expect(runBpf(other, ipv4(DVIPA, 50, esp))).to.equal(0);
    expect(runBpf(captureFilter({ dvipas: [], endpoints: [] }), ipv4(DVIPA, 50, esp))).to.equal(0);
  });

  it('capture filter takes 1000 addresses', () => {
    const dvipas = Array.from({ length: 1000 }, (_, i) => ipv4Address(0x0a000000 + i));
    const large = captureFilter({ dvipas, endpoints: [ipv4Address(ENDPOINT)] });
    expect(runBpf(large, ipv4(0x0a000000 + 999, 50, esp))).to.be.greaterThan(0);
    expect(runBpf(large, ipv4(ENDPOINT, 50, esp))).to.be.greaterThan(0);
    expect(runBpf(large, ipv4(ENDPOINT, 6, esp))).to.equal(0);
  });

  it('capture filter of more addresses than the kernel has instructions for is refused', () => {
    const dvipas = Array.from({ length: 3000 }, (_, i) => ipv4Address(i));
    expect(() => captureFilter({ dvipas, endpoints: [] })).to.throw(RangeError, 'too many addresses');
  });
});
