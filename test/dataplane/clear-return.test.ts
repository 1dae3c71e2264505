import { expect } from 'chai';
import { addr, DVIPA, ipv4, OTHER_DVIPA, reply, RST, SYN, ACK, tcp, udp } from '../support/inner-packets.ts';
import { counted } from '../support/dataplane-parts.ts';
import { fragment4 } from '../support/fragments.ts';
import { ClearBench, type ClearBenchOptions } from './clear-bench.ts';

const STRANGER = '192.0.2.200';
/** The target that serves the connections of the bench, and another one. */
const [OWN, OTHER] = [0, 1];
const syn = (more = {}) => tcp({ source: STRANGER, ...more });
const answer = (more = {}) => reply({ destination: STRANGER, ...more });
const datagram = () => udp({ source: STRANGER });
const udpAnswer = () => udp({ source: DVIPA, destination: STRANGER, sourcePort: 53, destinationPort: 5353 });
const icmp = (type: number, rest: Uint8Array = Buffer.alloc(0)) =>
  ipv4({
    source: DVIPA,
    destination: STRANGER,
    protocol: 1,
    payload: Buffer.concat([Buffer.from([type, type === 3 ? 3 : 0, 0, 0, 0, 0, 0, 0]), rest]),
  });
const echo = () => ipv4({ source: STRANGER, protocol: 1, payload: Buffer.from('0800f7ff00000000', 'hex') });

/** Two targets, of which the first has a connection in clear, and has told of it. */
function opened(options: ClearBenchOptions = {}): ClearBench {
  const bench = new ClearBench({ returnVia: 'router', ...options });
  bench.arrive(syn(), datagram(), echo());
  bench.distributor.addTarget(addr(DVIPA), OTHER);
  bench.distributor.setListeners(OTHER, addr(DVIPA), new Set([(6 << 16) | 80, (17 << 16) | 53]));
  bench.distributor.setListeners(OWN, addr(DVIPA), new Set([(6 << 16) | 80, (17 << 16) | 53]));
  return bench;
}

describe('answers in clear with return: router', () => {
  it('never leave from the target: all go to the routing host', () => {
    const bench = opened();
    const packets = [answer({ flags: SYN | ACK }), udpAnswer(), icmp(0), icmp(3, syn().subarray(0, 28))];
    expect(bench.leave(...packets)).to.deep.equal(packets.map(() => 'elsewhere'));
    expect(bench.raw.packets).to.deep.equal([]);
    expect(bench.handedOver.packets.map((packet) => packet.length)).to.deep.equal(
      packets.map(({ length }) => length),
    );
    expect([bench.clear.packets, bench.clear.handedOver]).to.deep.equal([4, 4]);
  });

  it('leave directly where that is not asked for', () => {
    const bench = opened({ returnVia: 'direct' });
    expect(bench.leave(answer({ flags: SYN | ACK }))).to.deep.equal(['elsewhere']);
    expect([bench.raw.packets.length, bench.handedOver.packets.length]).to.deep.equal([1, 0]);
  });

  it('are what they would be: what a target may not send, it does not hand over', () => {
    const bench = opened();
    expect(bench.leave(answer({ sourcePort: 81 }), icmp(8))).to.deep.equal(['no-policy', 'no-policy']);
    expect(bench.handedOver.packets).to.deep.equal([]);
  });

  it('are sent by the routing host, unchanged', () => {
    const bench = opened();
    const packets = [answer({ flags: SYN | ACK }), answer({ flags: RST }), udpAnswer(), icmp(0)];
    expect(bench.comeBack(OWN, ...packets)).to.deep.equal(packets.map(() => 'elsewhere'));
    expect(bench.routerRaw.packets).to.deep.equal(packets);
    expect(counted(bench.routerDrops)).to.deep.equal({});
  });

  const refused: readonly [what: string, packet: Buffer, bench: () => ClearBench, target?: number][] = [
    ["of another target's connection", answer({ flags: ACK }), opened, OTHER],
    ['of a connection that nobody was given', answer({ destinationPort: 1 }), opened],
    ['of UDP that another target was given', udpAnswer(), opened, OTHER],
    ['an echo request', icmp(8), opened],
    ['an error that quotes nothing', icmp(3), opened],
    ['of a DVIPA that does not distribute', answer(), () => opened({ distributes: [false, true] })],
    ['of a DVIPA whose targets answer directly', answer(), () => opened({ returnVia: 'direct' })],
    ['of a DVIPA that is none', answer({ source: OTHER_DVIPA }), opened],
    [
      'on a port that rules keep from clear text',
      answer(),
      () => opened({ rules: [{ action: 'permit', protocol: 6, fromPort: 443, toPort: 443 }] }),
    ],
    ['that a policy wants protected', answer(), () => Object.assign(opened(), { covers: () => true })],
    ['before the policies are known', answer(), () => Object.assign(opened(), { isRouterReady: false })],
    ['a later fragment without its first', pieces(1), opened],
  ];
  for (const [what, packet, make, target = OWN] of refused) {
    it(`are refused on the routing host: ${what}`, () => {
      const bench = make();
      expect(bench.comeBack(target, packet)).to.deep.equal(['no-policy']);
      expect(bench.routerRaw.packets).to.deep.equal([]);
    });
  }

  it('in fragments are sent where the first one was, and only from the same target', () => {
    const bench = opened();
    const [first, second] = [pieces(0), pieces(1)];
    expect(bench.comeBack(OWN, first)).to.deep.equal(['elsewhere']);
    expect(bench.comeBack(OTHER, second)).to.deep.equal(['no-policy']);
    expect(bench.comeBack(OWN, second)).to.deep.equal(['elsewhere']);
    expect(bench.routerRaw.packets).to.deep.equal([first, second]);
  });
});

/** A UDP answer in two fragments. */
function pieces(n: number): Buffer {
  const addresses = { source: DVIPA, destination: STRANGER };
  const whole = udp({ ...addresses, sourcePort: 53, destinationPort: 5353, data: Buffer.alloc(40) });
  const data = n === 0 ? whole.subarray(20, 44) : whole.subarray(44);
  return fragment4({ ...addresses, protocol: 17, offset: 24 * n, hasMore: n === 0, data });
}
