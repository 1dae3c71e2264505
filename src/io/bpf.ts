import { type IpAddress, isIpv4 } from '../packet/address.ts';
import { IPV6_DESTINATION_OFFSET, IPV6_HEADER_BYTES } from '../packet/ipv6.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { BPF, BPF_ANCILLARY, BpfProgram } from './bpf-program.ts';

/** PACKET_HOST: to this host; not broadcast, not another host's, not our own. */
const PACKET_HOST = 0;
const WHOLE_PACKET = 0x40000;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;

const IPV4_DESTINATION_OFFSET = 16;
/** More fragments, or an offset (RFC 791). */
const IPV4_FRAGMENT = 0x3fff;
const PORT_IKE = 500;
const PORT_NATT = 4500;
/** UDP header and the one byte 0xff (RFC 3948 section 2.3). */
const KEEPALIVE_UDP_BYTES = 9;
/** UDP header and SPI, or the non-ESP marker in its place (RFC 3948 section 2.2). */
const SPI_END = 12;
/** Type 3, code 4: fragmentation needed (RFC 1191). */
const ICMP_FRAGMENTATION_NEEDED = 0x0304;
/** Type 2 (RFC 4443 section 3.2); its code says nothing. */
const ICMPV6_PACKET_TOO_BIG = 2;
/** Neighbour discovery is types 133 to 137 (RFC 4861 section 4). */
const ICMPV6_DISCOVERY = { FIRST: 133, LAST: 137 };
/** Headers that may stand before ESP, UDP and fragment headers: only the agent walks them (RFC 8200 section 4.1). */
const EXTENSIONS = [IP_PROTOCOL.HOP_BY_HOP, IP_PROTOCOL.IPV6_ROUTING, IP_PROTOCOL.IPV6_DESTINATION];

interface CaptureScope {
  readonly dvipas: readonly IpAddress[];
  readonly endpoints: readonly IpAddress[];
}

/**
 * The filter of the routing host's captures, for packets whose IP header stands behind so many bytes. Of what is addressed to this host on the
 * link it passes:
 *
 * - to an endpoint or a DVIPA: ESP (protocol 50, and UDP port 4500 with an SPI), and what is too short to tell;
 *   every fragment of UDP or ESP, which only the agent puts together; IPv6 with extension headers before that;
 *   "fragmentation needed" (ICMP) and "packet too big" (ICMPv6);
 * - to a DVIPA: everything else but IKE, so that what comes in clear is counted.
 *
 * IKE and NAT keep-alives are charon's, IPv6 neighbour discovery is the kernel's. Throws a RangeError if there are more
 * addresses than a program has room for (a thousand that share their first 96 bits fit).
 */
export function captureFilter(scope: CaptureScope, linkHeaderBytes = 0): Uint8Array {
  const program = new BpfProgram(linkHeaderBytes)
    .do(BPF.LD_WORD, BPF_ANCILLARY.PACKET_TYPE)
    .demand(BPF.JUMP_EQUAL, PACKET_HOST, 'drop')
    .do(BPF.LD_HALF, BPF_ANCILLARY.PROTOCOL)
    .when(BPF.JUMP_EQUAL, ETHERTYPE_IPV4, { yes: 'IPv4' })
    .demand(BPF.JUMP_EQUAL, ETHERTYPE_IPV6, 'drop')
    .goto('IPv6')
    .label('IPv4');
  ipv4Addresses(program, scope);
  program.label('IPv6');
  ipv6Addresses(program, scope);
  ipv4ToEndpoint(program);
  ipv6ToEndpoint(program);
  ipv4ToDvipa(program);
  ipv6ToDvipa(program);
  udp(program);
  return program.label('drop').do(BPF.RETURN, 0).label('pass').do(BPF.RETURN, WHOLE_PACKET).encode();
}

function isVersion(program: BpfProgram, version: number): BpfProgram {
  return program
    .do(BPF.LD_BYTE, 0)
    .do(BPF.AND, 0xf0)
    .demand(BPF.JUMP_EQUAL, version << 4, 'drop');
}

function ipv4Addresses(program: BpfProgram, scope: CaptureScope): void {
  isVersion(program, 4).do(BPF.LDX_IPV4_HEADER_LENGTH, 0).do(BPF.LD_WORD, IPV4_DESTINATION_OFFSET);
  const toEach = (addresses: readonly IpAddress[], label: string) => {
    for (const address of addresses) if (isIpv4(address)) addressed(program, address[3] as number, label);
  };
  toEach(scope.dvipas, 'IPv4 to a DVIPA');
  toEach(scope.endpoints, 'IPv4 to an endpoint');
  program.goto('drop');
}

/** Addresses with the same first three words are looked at together: one DVIPA costs two instructions then. */
function ipv6Addresses(program: BpfProgram, scope: CaptureScope): void {
  isVersion(program, 6).do(BPF.LDX, IPV6_HEADER_BYTES);
  // An address that is both is a DVIPA: all of those come first.
  ipv6Group(program, scope.dvipas, 'IPv6 to a DVIPA');
  ipv6Group(program, scope.endpoints, 'IPv6 to an endpoint');
  program.goto('drop');
}

function ipv6Group(program: BpfProgram, addresses: readonly IpAddress[], label: string): void {
  const byPrefix = new Map<string, IpAddress[]>();
  for (const address of addresses.filter((words) => !isIpv4(words))) {
    const prefix = address.subarray(0, 3).join();
    byPrefix.set(prefix, [...(byPrefix.get(prefix) ?? []), address]);
  }
  for (const group of byPrefix.values()) {
    const next = program.unique();
    for (let word = 0; word < 3; word++) {
      program
        .do(BPF.LD_WORD, IPV6_DESTINATION_OFFSET + 4 * word)
        .demand(BPF.JUMP_EQUAL, group[0]?.[word] as number, next);
    }
    program.do(BPF.LD_WORD, IPV6_DESTINATION_OFFSET + 12);
    for (const address of group) addressed(program, address[3] as number, label);
    program.label(next);
  }
}

/** The jump is a long one: the list may have more than 255 addresses. */
function addressed(program: BpfProgram, word: number, label: string): void {
  const next = program.unique();
  program.when(BPF.JUMP_EQUAL, word, { no: next }).goto(label).label(next);
}

function ipv4ToEndpoint(program: BpfProgram): void {
  program
    .label('IPv4 to an endpoint')
    .do(BPF.LD_BYTE, 9)
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.ESP, { yes: 'pass' })
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.ICMP, { yes: 'ICMP to an endpoint' })
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.UDP, { no: 'drop' })
    .do(BPF.LD_HALF, 6)
    .when(BPF.JUMP_ANY_BIT, IPV4_FRAGMENT, { yes: 'pass' })
    .goto('UDP to an endpoint')
    .label('ICMP to an endpoint')
    .do(BPF.LD_HALF, 6)
    .when(BPF.JUMP_ANY_BIT, IPV4_FRAGMENT, { yes: 'drop' })
    .do(BPF.LD_HALF_AT_X, 0)
    .when(BPF.JUMP_EQUAL, ICMP_FRAGMENTATION_NEEDED, { yes: 'pass', no: 'drop' });
}

function ipv6ToEndpoint(program: BpfProgram): void {
  program
    .label('IPv6 to an endpoint')
    .do(BPF.LD_BYTE, 6)
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.UDP, { yes: 'UDP to an endpoint' })
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.ICMPV6, { yes: 'ICMPv6 to an endpoint' })
    .whenOneOf([IP_PROTOCOL.ESP, ...EXTENSIONS], 'pass')
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.IPV6_FRAGMENT, { no: 'drop' })
    .tooShort(1, 'pass')
    .do(BPF.LD_BYTE_AT_X, 0)
    .whenOneOf([IP_PROTOCOL.ESP, IP_PROTOCOL.UDP, ...EXTENSIONS], 'pass')
    .goto('drop')
    .label('ICMPv6 to an endpoint')
    .do(BPF.LD_BYTE_AT_X, 0)
    .when(BPF.JUMP_EQUAL, ICMPV6_PACKET_TOO_BIG, { yes: 'pass', no: 'drop' });
}

function ipv4ToDvipa(program: BpfProgram): void {
  program
    .label('IPv4 to a DVIPA')
    .do(BPF.LD_BYTE, 9)
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.UDP, { no: 'pass' })
    .do(BPF.LD_HALF, 6)
    .when(BPF.JUMP_ANY_BIT, IPV4_FRAGMENT, { yes: 'pass', no: 'UDP to a DVIPA' });
}

function ipv6ToDvipa(program: BpfProgram): void {
  program
    .label('IPv6 to a DVIPA')
    .do(BPF.LD_BYTE, 6)
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.UDP, { yes: 'UDP to a DVIPA' })
    .when(BPF.JUMP_EQUAL, IP_PROTOCOL.ICMPV6, { no: 'pass' })
    .tooShort(1, 'pass')
    .do(BPF.LD_BYTE_AT_X, 0)
    .when(BPF.JUMP_GREATER_OR_EQUAL, ICMPV6_DISCOVERY.FIRST, { no: 'pass' })
    .when(BPF.JUMP_GREATER, ICMPV6_DISCOVERY.LAST, { yes: 'pass', no: 'drop' });
}

/** A whole datagram, of either family. */
function udp(program: BpfProgram): void {
  program
    .label('UDP to an endpoint')
    .tooShort(8, 'pass')
    .do(BPF.LD_HALF_AT_X, 2)
    .when(BPF.JUMP_EQUAL, PORT_NATT, { yes: 'to port 4500', no: 'drop' })
    .label('UDP to a DVIPA')
    .tooShort(8, 'pass')
    .do(BPF.LD_HALF_AT_X, 2)
    .when(BPF.JUMP_EQUAL, PORT_IKE, { yes: 'drop' })
    .when(BPF.JUMP_EQUAL, PORT_NATT, { no: 'pass' })
    .label('to port 4500')
    .do(BPF.LD_HALF_AT_X, 4)
    .when(BPF.JUMP_GREATER, KEEPALIVE_UDP_BYTES, { no: 'drop' })
    .when(BPF.JUMP_GREATER_OR_EQUAL, SPI_END, { no: 'pass' })
    .tooShort(SPI_END, 'pass')
    .do(BPF.LD_WORD_AT_X, 8)
    .when(BPF.JUMP_EQUAL, 0, { no: 'pass' });
}
