import { execFileSync } from 'node:child_process';
import { setImmediate as turn } from 'node:timers/promises';
import { expect } from 'chai';
import { DropCounters } from '../../src/base/verdict.ts';
import { DgramLink } from '../../src/io/link-dgram.ts';

const PORT = 20_000 + (process.pid % 20_000);

/** Sends datagrams while this process stands still, as it does in a long collection of garbage. */
function floodWhileBlocked(count: number): void {
  const sender = `
    const socket = require('node:dgram').createSocket('udp4');
    const datagram = Buffer.alloc(1400);
    let left = ${count};
    const next = () => (left-- > 0 ? socket.send(datagram, ${PORT}, '127.0.4.5', next) : socket.close());
    next();`;
  execFileSync(process.execPath, ['-e', sender]);
}

describe('dgram link', function () {
  this.timeout(20_000);

  it('dgram link counts what the kernel dropped because nobody read, once', async () => {
    const drops = new DropCounters();
    const link = await DgramLink.open({ address: '127.0.4.5', port: PORT, drops });
    try {
      await link.countLosses();
      expect(drops.get('receive-overrun')).to.equal(0);
      floodWhileBlocked(15_000);
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
});
