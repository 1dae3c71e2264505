import { expect } from 'chai';
import { clearPackets, judge, type Measurement } from '../../src/lab/demo/checks.ts';

const good: Measurement = {
  connections: 60,
  perTarget: { target1: 20, target2: 21, target3: 19 },
  failedRequests: 0,
  requestsDuringDownload: 25,
  download: { bytes: 50_000_000, expectedBytes: 50_000_000, sha256ok: true, mbitPerSecond: 150 },
  outside: { esp: 60_000, ike: 20, arp: 12, 'nat-keepalive': 1 },
  cluster: { coupling: 300, link: 20_000, arp: 8 },
  markerOnWires: 0,
  markerOnTuns: 36_000,
  espRepeats: 0,
  lostByCaptures: 0,
  rekeys: 3,
  rekeysFromCounts: 3,
  opened: { router1: 0, target1: 900, target2: 900, target3: 900 },
  openedInPlaceOfTargets: 0,
  drops: {},
};

const failed = (change: Partial<Measurement>) =>
  judge({ ...good, ...change }, ['target1', 'target2', 'target3'], 'router1')
    .filter(({ holds }) => !holds)
    .map(({ name }) => name);

describe('demo checks', () => {
  it('all hold when everything is as it should be', () => {
    expect(failed({})).to.deep.equal([]);
    expect(clearPackets(good)).to.equal(0);
  });

  it('allow a few packets on the routing host because a target was late with an SA', () => {
    const opened = { ...good.opened, router1: 27 };
    expect(failed({ opened, openedInPlaceOfTargets: 27 })).to.deep.equal([]);
  });

  const faults: [string, Partial<Measurement>, string[]][] = [
    ['a target that got nothing', { perTarget: { target1: 30, target2: 30 } }, ['spread']],
    ['all on one target', { perTarget: { target1: 58, target2: 1, target3: 1 } }, ['spread']],
    [
      'one failed request',
      { failedRequests: 1, perTarget: { target1: 20, target2: 20, target3: 19 } },
      ['requests'],
    ],
    ['a request that failed during the download', { failedRequests: 1 }, ['requests']],
    ['no request during the download', { requestsDuringDownload: 0 }, ['requests']],
    ['a wrong checksum', { download: { ...good.download, sha256ok: false } }, ['download']],
    ['a download that stopped', { download: { ...good.download, bytes: 49_999_999 } }, ['download']],
    ['a foreign frame outside', { outside: { ...good.outside, other: 1 } }, ['wires']],
    ['an ICMP error outside', { outside: { ...good.outside, unreachable: 1 } }, ['wires']],
    ['a foreign frame between the hosts', { cluster: { ...good.cluster, other: 1 } }, ['wires']],
    ['captures that saw nothing', { outside: {}, cluster: {} }, ['wires']],
    ['the marker on a wire', { markerOnWires: 1 }, ['marker']],
    ['a marker that was nowhere', { markerOnTuns: 0 }, ['marker']],
    ['a number that was used twice', { espRepeats: 1 }, ['numbers']],
    ['a capture that lost packets', { lostByCaptures: 1 }, ['captures']],
    ['a capture that does not say what it lost', { lostByCaptures: Number.NaN }, ['captures']],
    ['a packet opened on the routing host', { opened: { ...good.opened, router1: 1 } }, ['opened']],
    [
      'a packet opened on the routing host for another reason than a late target',
      { opened: { ...good.opened, router1: 9 }, openedInPlaceOfTargets: 8 },
      ['opened'],
    ],
    [
      'too many packets opened on the routing host, for whatever reason',
      { opened: { ...good.opened, router1: 28 }, openedInPlaceOfTargets: 28 },
      ['opened'],
    ],
    [
      'a routing host that does not say why it opened packets',
      { openedInPlaceOfTargets: Number.NaN },
      ['opened'],
    ],
    ['a target that opened nothing', { opened: { ...good.opened, target2: 0 } }, ['opened']],
    ['an agent that does not answer', { opened: { router1: Number.NaN } }, ['opened']],
    ['no rekey', { rekeys: 0, rekeysFromCounts: 0 }, ['rekeys']],
    ['rekeys of which none came from counts', { rekeys: 2, rekeysFromCounts: 0 }, ['rekeys']],
  ];
  for (const [fault, change, expected] of faults) {
    it(`see ${fault}`, () => expect(failed(change)).to.deep.equal(expected));
  }

  it('count as clear every frame that should not be there and every packet with the marker', () => {
    const seen = { ...good, outside: { esp: 1, other: 2 }, cluster: { other: 3 }, markerOnWires: 4 };
    expect(clearPackets(seen)).to.equal(9);
  });
});
