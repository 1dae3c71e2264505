import { expect } from 'chai';
import * as fc from 'fast-check';
import { formatAddress, type IpAddress, parseAddress } from '../../src/packet/address.ts';
import { type AddressClaim, encodeArpProbe, parseArpClaim } from '../../src/packet/arp.ts';
import { formatLinkAddress, parseLinkAddress } from '../../src/packet/ethernet.ts';
import { encodeDuplicateProbe, parseAdvertisement } from '../../src/packet/neighbour-discovery.ts';

const US = parseLinkAddress('02:00:00:00:00:01') as Buffer;
const IPV4 = '203.0.113.10';
const IPV6 = '2001:db8::a1b2:c3d4';

// Frames made with scapy 2.5: probes of 02:00:00:00:00:01 for these addresses, and what their owner 02:00:00:00:00:02 answers.
const ARP_PROBE = 'ffffffffffff0200000000010806000108000604000102000000000100000000000000000000cb00710a';
const ARP_REPLY = '02000000000102000000000208060001080006040002020000000002cb00710a02000000000100000000';
const SOLICITATION =
  '3333ffb2c3d402000000000186dd6000000000183aff00000000000000000000000000000000ff0200000000000000000001ffb2c3d4' +
  '870022e10000000020010db80000000000000000a1b2c3d4';
const ADVERTISEMENT =
  '33330000000102000000000286dd6000000000203aff20010db80000000000000000a1b2c3d4ff020000000000000000000000000001' +
  '88002e1d2000000020010db80000000000000000a1b2c3d40201020000000002';

const address = (text: string) => parseAddress(text) as IpAddress;
const told = (claim: AddressClaim | undefined) =>
  claim && [formatAddress(claim.address), formatLinkAddress(claim.link)];
const bytes = (hex: string) => Buffer.from(hex, 'hex');

describe('ARP', () => {
  it('probes from no address, to everybody (RFC 5227 section 2.1.1), as scapy does', () => {
    expect(encodeArpProbe(US, address(IPV4)).toString('hex')).to.equal(ARP_PROBE);
  });

  it('names who answers, and nobody for a probe', () => {
    expect(told(parseArpClaim(bytes(ARP_REPLY)))).to.deep.equal([IPV4, '02:00:00:00:00:02']);
    expect(parseArpClaim(bytes(ARP_PROBE))).to.equal(undefined);
  });

  it('takes nothing that is cut or of another kind', () => {
    const reply = bytes(ARP_REPLY);
    for (let length = 0; length < reply.length; length++)
      expect(parseArpClaim(reply.subarray(0, length))).to.equal(undefined);
    for (const at of [12, 14, 16, 18, 19, 20, 21]) {
      const other = Buffer.from(reply);
      other[at] = 0x7f;
      expect(parseArpClaim(other), `byte ${at}`).to.equal(undefined);
    }
  });
});

describe('duplicate address detection', () => {
  it('asks from no address at the solicited-node group (RFC 4862 section 5.4.2), as scapy does', () => {
    expect(encodeDuplicateProbe(US, address(IPV6)).toString('hex')).to.equal(SOLICITATION);
  });

  it('hears an advertisement with its owner, and nobody in a solicitation', () => {
    expect(told(parseAdvertisement(bytes(ADVERTISEMENT)))).to.deep.equal([IPV6, '02:00:00:00:00:02']);
    expect(parseAdvertisement(bytes(SOLICITATION))).to.equal(undefined);
  });

  it('takes nothing that is cut, or came over a router', () => {
    const whole = bytes(ADVERTISEMENT);
    for (let length = 0; length < whole.length; length++)
      expect(parseAdvertisement(whole.subarray(0, length))).to.equal(undefined);
    whole[14 + 7] = 254;
    expect(parseAdvertisement(whole)).to.equal(undefined);
  });

  it('never takes damage for another address', () => {
    const whole = bytes(ADVERTISEMENT);
    fc.assert(
      fc.property(
        fc.integer({ min: 14, max: whole.length - 1 }),
        fc.integer({ min: 1, max: 255 }),
        (at, change) => {
          const damaged = Buffer.from(whole);
          damaged[at] = (damaged[at] as number) ^ change;
          const claim = parseAdvertisement(damaged);
          expect(claim === undefined || formatAddress(claim.address) === IPV6).to.equal(true);
        },
      ),
    );
  });
});
