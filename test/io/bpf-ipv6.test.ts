import { expect } from 'chai';
import { captureFilter } from '../../src/io/bpf.ts';
import { ipv4Address, parseAddress, type IpAddress } from '../../src/packet/address.ts';
import { passesOf, runBpf } from './bpf-interpreter.ts';

const addressOf = (text: string) => parseAddress(text) as IpAddress;
const DVIPA = '2001:db8::10';
const ENDPOINT = '2001:db8:1::20';
const IPV4 = [ipv4Address(0xcb00710a)];

function bytesOf(text: string): Buffer {
  const bytes = Buffer.alloc(16);
  addressOf(text).forEach((word, i) => bytes.writeUInt32BE(word, 4 * i));
  return bytes;
}

/** An IPv6 packet to nobody; `next` is the protocol of the payload. */
function ipv6(next: number, payload: string): Buffer {
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(payload.length / 2, 4);
  header[6] = next;
  header[7] = 64;
  bytesOf('2001:db8:ffff::1').copy(header, 8);
  return Buffer.concat([header, Buffer.from(payload, 'hex')]);
}

function to(address: string, packet: Buffer): Buffer {
  const copy = Buffer.from(packet);
  bytesOf(address).copy(copy, 24);
  return copy;
}

function udp(port: number, payload: string, lengthBytes = 8 + payload.length / 2): string {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(4500, 0);
  header.writeUInt16BE(port, 2);
  header.writeUInt16BE(lengthBytes, 4);
  return header.toString('hex') + payload;
}

/** A fragment header; `field` is offset and "more" (RFC 8200 section 4.5). */
function fragment(next: number, field: number, payload: string): string {
  const header = Buffer.alloc(8);
  header[0] = next;
  header.writeUInt16BE(field, 2);
  return header.toString('hex') + payload;
}

const esp = 'c123456700000001' + 'aa'.repeat(40);
const ikeNatt = '000000001122334455667788' + '00'.repeat(20);
const tcp = '00500050' + '00'.repeat(16);

describe('capture filter of IPv6', () => {
  const scope = {
    dvipas: [...IPV4, addressOf(DVIPA)],
    endpoints: [addressOf(ENDPOINT), ...IPV4],
  };
  const filter = captureFilter(scope);
  const passes = passesOf(scope);

  const table: { it: string; packet: Buffer; dvipa: boolean; endpoint: boolean }[] = [
    { it: 'ESP as protocol 50', packet: ipv6(50, esp), dvipa: true, endpoint: true },
    { it: 'ESP in UDP', packet: ipv6(17, udp(4500, esp)), dvipa: true, endpoint: true },
    {
      it: 'a first fragment of ESP',
      packet: ipv6(44, fragment(50, 0x0001, esp)),
      dvipa: true,
      endpoint: true,
    },
    {
      it: 'a later fragment of ESP',
      packet: ipv6(44, fragment(50, 0x0028, 'aa')),
      dvipa: true,
      endpoint: true,
    },
    {
      it: 'a first fragment of ESP in UDP',
      packet: ipv6(44, fragment(17, 0x0001, udp(4500, esp, 3000))),
      dvipa: true,
      endpoint: true,
    },
    {
      it: 'a later fragment of UDP',
      packet: ipv6(44, fragment(17, 0x0028, 'aa')),
      dvipa: true,
      endpoint: true,
    },
    {
      it: 'a fragment of IKE, which is recognised when it is whole',
      packet: ipv6(44, fragment(17, 0x0001, udp(500, esp, 3000))),
      dvipa: true,
      endpoint: true,
    },
    {
      it: 'destination options behind a fragment header',
      packet: ipv6(44, fragment(60, 0x0001, '3200010400000000' + esp)),
      dvipa: true,
      endpoint: true,
    },
    { it: 'a fragment of TCP', packet: ipv6(44, fragment(6, 0x0001, tcp)), dvipa: true, endpoint: false },
    { it: 'a fragment header that is cut off', packet: ipv6(44, ''), dvipa: true, endpoint: true },
    { it: 'hop-by-hop options', packet: ipv6(0, '3200010400000000' + esp), dvipa: true, endpoint: true },
    { it: 'a routing header', packet: ipv6(43, '3200000000000000' + esp), dvipa: true, endpoint: true },
    { it: 'destination options', packet: ipv6(60, '1100010400000000' + esp), dvipa: true, endpoint: true },
    { it: 'IKE on port 500', packet: ipv6(17, udp(500, esp)), dvipa: false, endpoint: false },
    { it: 'IKE on port 4500', packet: ipv6(17, udp(4500, ikeNatt)), dvipa: false, endpoint: false },
    { it: 'a NAT keep-alive', packet: ipv6(17, udp(4500, 'ff')), dvipa: false, endpoint: false },
    { it: 'half an SPI', packet: ipv6(17, udp(4500, 'c123')), dvipa: true, endpoint: true },
    { it: 'half a UDP header', packet: ipv6(17, '11941194'), dvipa: true, endpoint: true },
    {
      it: 'a datagram shorter than its UDP length',
      packet: ipv6(17, udp(4500, 'c123', 60)),
      dvipa: true,
      endpoint: true,
    },
    { it: 'UDP to another port', packet: ipv6(17, udp(53, esp)), dvipa: true, endpoint: false },
    { it: 'TCP', packet: ipv6(6, tcp), dvipa: true, endpoint: false },
    { it: 'AH', packet: ipv6(51, tcp), dvipa: true, endpoint: false },
    {
      it: 'ICMPv6 "packet too big"',
      packet: ipv6(58, '0200000000000500' + '00'.repeat(48)),
      dvipa: true,
      endpoint: true,
    },
    { it: 'an ICMPv6 echo request', packet: ipv6(58, '8000000000000000'), dvipa: true, endpoint: false },
    { it: 'ICMPv6 type 132', packet: ipv6(58, '84000000'), dvipa: true, endpoint: false },
    { it: 'a router solicitation', packet: ipv6(58, '85000000'), dvipa: false, endpoint: false },
    { it: 'a neighbour solicitation', packet: ipv6(58, '87000000'), dvipa: false, endpoint: false },
    { it: 'a neighbour advertisement', packet: ipv6(58, '88000000'), dvipa: false, endpoint: false },
    { it: 'a redirect', packet: ipv6(58, '89000000'), dvipa: false, endpoint: false },
    { it: 'ICMPv6 type 138', packet: ipv6(58, '8a000000'), dvipa: true, endpoint: false },
    { it: 'ICMPv6 without a type', packet: ipv6(58, ''), dvipa: true, endpoint: false },
    { it: 'ICMP in IPv6', packet: ipv6(1, '0304000000000578'), dvipa: true, endpoint: false },
  ];

  for (const { it: what, packet, dvipa, endpoint } of table) {
    it(`capture filter ${dvipa ? 'passes' : 'leaves'} ${what} to an IPv6 DVIPA`, () => {
      expect(passes(to(DVIPA, packet))).to.equal(dvipa);
    });
    it(`capture filter ${endpoint ? 'passes' : 'leaves'} ${what} to an IPv6 endpoint`, () => {
      expect(passes(to(ENDPOINT, packet))).to.equal(endpoint);
    });
  }

  it('capture filter leaves an IPv6 address that differs in one bit of any word', () => {
    for (const address of [DVIPA, ENDPOINT]) {
      const packet = to(address, ipv6(50, esp));
      expect(passes(packet)).to.equal(true);
      for (const byte of [24, 27, 28, 31, 32, 35, 36, 39]) {
        const other = Buffer.from(packet);
        other[byte] = (other[byte] as number) ^ 1;
        expect(passes(other), `byte ${byte}`).to.equal(false);
      }
    }
  });

  it('capture filter leaves IPv6 that the link addressed to others, broadcast, or sent itself', () => {
    for (const type of [1, 2, 3, 4]) expect(passes(to(DVIPA, ipv6(50, esp)), type)).to.equal(false);
  });

  it('capture filter leaves IPv6 in a frame that says IPv4', () => {
    expect(runBpf(filter, to(DVIPA, ipv6(50, esp)), { etherType: 0x0800 })).to.equal(0);
  });

  it('capture filter never passes an IPv6 truncation that has no destination', () => {
    const packet = to(DVIPA, ipv6(17, udp(4500, esp)));
    for (let n = 0; n < 40; n++) expect(passes(packet.subarray(0, n)), `${n} bytes`).to.equal(false);
    for (let n = 40; n <= packet.length; n++)
      expect(passes(packet.subarray(0, n)), `${n} bytes`).to.equal(true);
  });

  it('capture filter treats an IPv6 address that is DVIPA and endpoint as a DVIPA', () => {
    const both = captureFilter({ dvipas: [addressOf(DVIPA)], endpoints: [addressOf(DVIPA)] });
    expect(runBpf(both, to(DVIPA, ipv6(6, tcp)))).to.be.greaterThan(0);
  });

  it('capture filter takes 1000 addresses of one network, and 64 with 256 endpoints of as many networks', () => {
    const one = Array.from({ length: 1000 }, (_, i) => `2001:db8::1:${i.toString(16)}`);
    const many = (count: number, part: string) =>
      Array.from({ length: count }, (_, i) => `2001:db8:${part}:${i.toString(16)}::1`);
    const dvipas = many(64, 'd');
    const endpoints = many(256, 'e');
    const first = captureFilter({ dvipas: one.map(addressOf), endpoints: [addressOf(ENDPOINT)] });
    const second = captureFilter({ dvipas: dvipas.map(addressOf), endpoints: endpoints.map(addressOf) });
    for (const address of one) expect(runBpf(first, to(address, ipv6(6, tcp)))).to.be.greaterThan(0);
    expect(runBpf(first, to(ENDPOINT, ipv6(50, esp)))).to.be.greaterThan(0);
    for (const address of dvipas) expect(runBpf(second, to(address, ipv6(6, tcp)))).to.be.greaterThan(0);
    for (const address of endpoints) {
      expect(runBpf(second, to(address, ipv6(50, esp)))).to.be.greaterThan(0);
      expect(runBpf(second, to(address, ipv6(6, tcp)))).to.equal(0);
    }
  });

  it('capture filter of more IPv6 addresses than the kernel has instructions for is refused', () => {
    const dvipas = Array.from({ length: 500 }, (_, i) => addressOf(`2001:db8:${i.toString(16)}::1`));
    expect(() => captureFilter({ dvipas, endpoints: [] })).to.throw(RangeError, 'too many addresses');
  });
});
