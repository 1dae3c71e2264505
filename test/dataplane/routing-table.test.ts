import { expect } from 'chai';
import { counted, outcomes } from '../support/dataplane-parts.ts';
import { EspPeer } from '../support/esp-peer.ts';
import {
  CLIENT,
  ENDPOINT,
  espInUdp,
  icmpEcho,
  ipv4,
  OTHER_DVIPA,
  tcp,
  udp,
} from '../support/inner-packets.ts';
import { type SaTest, testSa } from '../support/test-sas.ts';
import { type InstallOptions, RoutingBench } from './routing-bench.ts';

const SPI = 0xc000_0001;
const ANY = { fromPort: 0, toPort: 65_535, sourceNetwork: 0, sourceMask: 0 };
const DENY_WEB = { ...ANY, action: 'deny' as const, protocol: 6, fromPort: 80, toPort: 80 };
const PERMIT_WEB = { ...DENY_WEB, action: 'permit' as const };

interface Case {
  readonly it: string;
  readonly given?: Partial<SaTest> & InstallOptions;
  readonly packet: (peer: EspPeer) => Buffer;
  /** A drop reason, or what is left of it: `keep` (dispatched), `elsewhere` (held). */
  readonly want: string;
}

/** The datagram with bytes cut off its end; the headers still promise them. */
const cut = (datagram: Buffer, bytes: number) => datagram.subarray(0, datagram.length - bytes);
const patch = (datagram: Buffer, at: number, value: number) => {
  datagram.writeUInt8(value, at);
  return datagram;
};

const CASES: readonly Case[] = [
  { it: 'a TCP SYN to the DVIPA is dispatched', packet: (p) => espInUdp(p.seal(tcp())), want: 'keep' },
  { it: 'a UDP datagram goes by hash', packet: (p) => espInUdp(p.seal(udp({}))), want: 'keep' },
  { it: 'an ICMP echo goes by hash', packet: (p) => espInUdp(p.seal(icmpEcho())), want: 'keep' },
  {
    it: 'Ethernet padding behind the datagram does not matter',
    packet: (p) => Buffer.concat([espInUdp(p.seal(tcp())), Buffer.alloc(6)]),
    want: 'keep',
  },
  {
    it: 'any UDP source port will do: the peer may be behind a NAT',
    packet: (p) => espInUdp(p.seal(tcp()), { source: '198.51.100.77', sourcePort: 31_000 }),
    want: 'keep',
  },
  {
    it: 'an IPv4 header that was cut off',
    packet: (p) => espInUdp(p.seal(tcp())).subarray(0, 19),
    want: 'truncated',
  },
  {
    it: 'a total length beyond what was received',
    packet: (p) => cut(espInUdp(p.seal(tcp())), 1),
    want: 'truncated',
  },
  { it: 'a UDP header that was cut off', packet: () => ipv4(outer17(Buffer.alloc(7))), want: 'truncated' },
  {
    it: 'an ESP header that was cut off',
    packet: (p) => espInUdp(p.seal(tcp()).subarray(0, 7)),
    want: 'truncated',
  },
  {
    it: 'ESP too short for its IV and ICV',
    packet: (p) => espInUdp(p.seal(tcp()).subarray(0, 8 + 8 + 16)),
    want: 'truncated',
  },
  { it: 'IP version 5', packet: (p) => patch(espInUdp(p.seal(tcp())), 0, 0x55), want: 'malformed' },
  { it: 'an IHL of 4', packet: (p) => patch(espInUdp(p.seal(tcp())), 0, 0x44), want: 'malformed' },
  {
    it: 'a UDP length below its header',
    packet: (p) => patch(patch(espInUdp(p.seal(tcp())), 24, 0), 25, 7),
    want: 'malformed',
  },
  {
    it: 'IKE, whose non-ESP marker is a reserved SPI',
    packet: () => espInUdp(Buffer.alloc(40)),
    want: 'not-esp',
  },
  {
    it: 'TCP to the endpoint',
    packet: () => tcp({ source: CLIENT, destination: ENDPOINT }),
    want: 'not-esp',
  },
  {
    it: 'UDP to another port of the endpoint',
    packet: (p) => espInUdp(p.seal(tcp()), { destinationPort: 4501 }),
    want: 'not-esp',
  },
  {
    it: 'ESP to somebody else',
    packet: (p) => espInUdp(p.seal(tcp()), { destination: '192.0.2.99' }),
    want: 'outer-not-dvipa',
  },
  { it: 'clear TCP to the DVIPA', packet: () => tcp({ source: CLIENT }), want: 'clear' },
  { it: 'ICMP in clear to the DVIPA', packet: () => icmpEcho({ source: CLIENT }), want: 'clear' },
  { it: 'number 0', packet: (p) => espInUdp(p.seal(tcp(), 0)), want: 'replay' },
  {
    it: 'a dummy packet (next header 59)',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(20), 1, { nextHeader: 59 })),
    want: 'dummy',
  },
  {
    it: 'an inner packet that is none',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(40, 0xee))),
    want: 'peek-malformed',
  },
  {
    it: 'inner IPv6',
    packet: (p) => espInUdp(p.seal(Buffer.alloc(60, 0x60), 1, { nextHeader: 41 })),
    want: 'peek-malformed',
  },
  {
    it: 'an inner destination that is no DVIPA',
    packet: (p) => espInUdp(p.seal(tcp({ destination: '203.0.113.99' }))),
    want: 'inner-not-dvipa',
  },
  {
    it: 'an inner destination that is another DVIPA than the SA is for',
    packet: (p) => espInUdp(p.seal(tcp({ destination: OTHER_DVIPA }))),
    want: 'inner-not-dvipa',
  },
  {
    it: 'an inner source outside the traffic selectors',
    packet: (p) => espInUdp(p.seal(tcp({ source: '10.1.1.2' }))),
    want: 'tunnel-check',
  },
  {
    it: 'a port outside the traffic selectors',
    given: { selector: { protocol: 6, fromPort: 443, toPort: 443 } },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'tunnel-check',
  },
  {
    it: 'a protocol outside the traffic selectors',
    given: { selector: { protocol: 6 } },
    packet: (p) => espInUdp(p.seal(udp({}))),
    want: 'tunnel-check',
  },
  {
    it: 'mode filter: a port that a rule denies',
    given: { filterMode: 'filter', rules: [DENY_WEB, { ...ANY, action: 'permit', protocol: 0 }] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'filter',
  },
  {
    it: 'mode filter: rules, and none fits',
    given: { filterMode: 'filter', rules: [PERMIT_WEB] },
    packet: (p) => espInUdp(p.seal(tcp({ destinationPort: 22 }))),
    want: 'filter',
  },
  {
    it: 'mode filter: a port that a rule permits',
    given: { filterMode: 'filter', rules: [PERMIT_WEB] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'keep',
  },
  {
    it: 'mode bypass: the routing host does not filter (the target does)',
    given: { filterMode: 'bypass', rules: [DENY_WEB] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'keep',
  },
  {
    it: 'an SPI that nobody knows is held: its SA may be on its way',
    packet: () => espInUdp(new EspPeer('aes128gcm16', 0xdead_beef).seal(tcp())),
    want: 'elsewhere',
  },
  {
    it: 'an SA that no target serves yet is held',
    given: { serving: [] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'elsewhere',
  },
  {
    it: 'an SA whose windows are missing after a restart is held',
    given: { isWaitingForWindows: true },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'elsewhere',
  },
  {
    it: 'a target that no longer gets connections does not count',
    given: { serving: [7] },
    packet: (p) => espInUdp(p.seal(tcp())),
    want: 'no-target',
  },
];

function outer17(payload: Uint8Array) {
  return { source: CLIENT, destination: ENDPOINT, protocol: 17, payload };
}

describe('routing-inbound, packet by packet', () => {
  for (const { it: title, given = {}, packet, want } of CASES) {
    it(`${title}: ${want}`, () => {
      const bench = new RoutingBench();
      bench.install(testSa({ spi: SPI, ...given }), given);
      const vector = bench.run(packet(new EspPeer('aes128gcm16', SPI)));
      expect(outcomes(vector)).to.deep.equal([want]);
      const isDrop = want !== 'keep' && want !== 'elsewhere';
      expect(counted(bench.drops)).to.deep.equal(isDrop ? { [want]: 1 } : {});
      expect(bench.link.sent).to.have.lengthOf(want === 'keep' ? 1 : 0);
    });
  }

  it('counts each packet of a vector once, under its own reason', () => {
    const bench = new RoutingBench();
    bench.install(testSa({ spi: SPI }));
    const peer = new EspPeer('aes128gcm16', SPI);
    bench.run(
      espInUdp(peer.seal(tcp())),
      tcp({ source: CLIENT }),
      espInUdp(peer.seal(tcp({ source: '10.1.1.2' }))),
      tcp({ source: CLIENT }),
      espInUdp(peer.seal(tcp(), 0)),
    );
    expect(counted(bench.drops)).to.deep.equal({ clear: 2, 'tunnel-check': 1, replay: 1 });
    expect(bench.inbound.packets).to.equal(5);
    expect(bench.inbound.dispatched).to.equal(1);
  });
});
