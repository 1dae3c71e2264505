import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { DropCounters } from '../../src/base/verdict.ts';
import { LINK_PROTOCOL } from '../../src/dataplane/ports.ts';
import { PacketVector } from '../../src/dataplane/vector.ts';
import { DgramLink } from '../../src/io/link-dgram.ts';
import { floodWhileBlocked } from '../support/link-flood.ts';

const PORT = 20_000 + (process.pid % 20_000);

describe('dgram link', function () {
  this.timeout(20_000);

  it('dgram link counts what the kernel dropped because nobody read, once', async () => {
    const drops = new DropCounters();
    const link = await DgramLink.open({ address: '127.0.4.5', port: PORT, drops });
    try {
      await link.countLosses();
      expect(drops.get('receive-overrun')).to.equal(0);
      floodWhileBlocked('127.0.4.5', PORT, 15_000);
      await link.countLosses();
      const lost = drops.get('receive-overrun');
      expect(lost).to.be.greaterThan(0);
      await link.countLosses();
      expect(drops.get('receive-overrun')).to.equal(lost);
      // What was not lost is read, and refused: nobody is a peer.
      while (drops.get('link-stranger') + lost < 15_000) await turn();
      expect(drops.get('link-stranger')).to.equal(15_000 - lost);
    } finally {
      await link.close();
    }
  });

  it('dgram link carries datagrams of both outer families as numbered dispatches', async () => {
    const drops = new DropCounters();
    const ends = await Promise.all(
      ['127.0.4.6', '127.0.4.7'].map((address) => DgramLink.open({ address, port: PORT, drops })),
    );
    const [from, to] = ends as [DgramLink, DgramLink];
    try {
      from.setPeer(3, '127.0.4.7');
      to.setPeer(5, '127.0.4.6');
      const got: string[] = [];
      to.onReceive((packets, peer, protocol, epoch) => {
        for (let i = 0; i < packets.count; i++)
          got.push([peer, protocol, epoch, packets.dispatch[i], packets.packet(i).toString('hex')].join(' '));
      });
      for (const [protocol, version] of [
        [LINK_PROTOCOL.OUTER_IPV4, '45'],
        [LINK_PROTOCOL.OUTER_IPV6, '60'],
      ] as const) {
        const vector = new PacketVector(1);
        vector.push(Buffer.from(`${version}ab`, 'hex'));
        vector.target[0] = 3;
        vector.dispatch[0] = 77;
        vector.linkProtocol[0] = protocol;
        expect(from.send(vector, 3, 9)).to.equal(1);
      }
      while (got.length < 2) await turn();
      expect(got).to.deep.equal(['5 2048 9 77 45ab', '5 34525 9 77 60ab']);
    } finally {
      for (const end of ends) await end.close();
    }
  });
});
