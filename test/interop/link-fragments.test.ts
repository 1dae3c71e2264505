import { expect } from 'chai';
import { encodeFragmentationNeeded } from '../../src/packet/icmp.ts';
import { IP_PROTOCOL } from '../../src/packet/protocols.ts';
import { udp } from '../support/inner-packets.ts';
import { ipPacket } from '../support/ip-packets.ts';
import { NetHost, type NetWorker } from './support/net-host.ts';

const ROUTER = '198.51.100.1';
const TARGET = '198.51.100.11';
const DF = 0x4000;
/** GRE with key and sequence number, UDP, IPv4. */
const AROUND = 40;

const hex = (text: string) => Buffer.from(text).toString('hex');

for (const driver of ['dgram', 'batch'] as const) {
  describe(`the trusted link (${driver}) on a network of MTU 1500`, function () {
    this.timeout(60_000);
    let router: NetHost;
    let target: NetHost;
    let sender: NetWorker;
    let receiver: NetWorker;

    before(async () => {
      router = new NetHost('lf-router');
      target = new NetHost('lf-target');
      NetHost.wire(router, 'cluster0', target, 'cluster0');
      router.ip(`address add ${ROUTER}/24 dev cluster0`);
      target.ip(`address add ${TARGET}/24 dev cluster0`);
      [sender, receiver] = await Promise.all([router.worker(), target.worker()]);
      await sender.do('linkDriver', driver);
      await receiver.do('capture', 'cluster0', { dvipas: [TARGET], endpoints: [] });
    });
    after(async () => {
      await router?.close();
      await target?.close();
    });

    /** What crosses the wire for one packet of so many bytes. */
    async function crossing(bytes: number): Promise<Buffer[]> {
      const text = `the end of ${bytes}`;
      const drops = await sender.do('linkSend', ROUTER, TARGET, bytes, text);
      expect(Object.entries(drops).filter(([, count]) => count > 0)).to.deep.equal([]);
      const packets = await receiver.do('take', 'cluster0', hex(text));
      return packets
        .map((packet) => Buffer.from(packet, 'hex'))
        .filter((packet) => packet.readUInt8(9) === 17);
    }

    const dataOf = (packets: readonly Buffer[]) =>
      packets.reduce((sum, packet) => sum + packet.readUInt16BE(2) - 20, 0);

    for (const bytes of [100, 1460, 1480, 1500, 9000, 65_495]) {
      it(`carries a dispatch of ${bytes} bytes, and no packet of it has DF`, async () => {
        const packets = await crossing(bytes);
        for (const packet of packets) {
          expect(packet.length).to.be.at.most(1500);
          expect(packet.readUInt16BE(6) & DF).to.equal(0);
        }
        expect(dataOf(packets)).to.equal(bytes + AROUND - 20);
        expect(packets).to.have.lengthOf(Math.ceil((bytes + AROUND - 20) / 1480));
      });
    }

    it('does not become smaller by what anybody says by ICMP', async () => {
      await receiver.do('raw', 0);
      const ports = { sourcePort: 4754, destinationPort: 4754 };
      const quote = udp({ source: ROUTER, destination: TARGET, ...ports, data: Buffer.alloc(1472) }).subarray(
        0,
        28,
      );
      const payload = Buffer.concat([Buffer.alloc(8), quote]);
      encodeFragmentationNeeded(payload, 0, 600, quote.length);
      const forged = ipPacket({ source: TARGET, destination: ROUTER, protocol: IP_PROTOCOL.ICMP, payload });
      const verdicts = await sender
        .do('linkSend', ROUTER, TARGET, 1400, 'before')
        .then(() => receiver.do('send', 'raw', forged.toString('hex')));
      expect(verdicts).to.deep.equal([0]);
      await receiver.do('take', 'cluster0', hex('before'));
      expect(router.ip(`route get ${TARGET}`)).to.not.contain('mtu');
      expect(await crossing(1400)).to.have.lengthOf(1);
    });
  });
}

describe('the trusted link (batch) on a network that is not as it was said to be', function () {
  this.timeout(60_000);
  let router: NetHost;
  let target: NetHost;
  let sender: NetWorker;
  let receiver: NetWorker;

  before(async () => {
    router = new NetHost('lb-router');
    target = new NetHost('lb-target');
    NetHost.wire(router, 'cluster0', target, 'cluster0');
    router.ip(`address add ${ROUTER}/24 dev cluster0`);
    target.ip(`address add ${TARGET}/24 dev cluster0`);
    [sender, receiver] = await Promise.all([router.worker(), target.worker()]);
    await sender.do('linkDriver', 'batch');
    await receiver.do('capture', 'cluster0', { dvipas: [TARGET], endpoints: [] });
  });
  after(async () => {
    await router?.close();
    await target?.close();
  });

  it('goes on one by one when the kernel refuses many in one, says so once, and loses nothing', async () => {
    const whole = await sender.do('linkBurst', ROUTER, TARGET, 100, 1400);
    expect(whole).to.include({ sent: 100, sendCalls: 1, gso: true });
    await sender.do('linkSend', ROUTER, TARGET, 20, 'after the first');
    const first = await receiver.do('take', 'cluster0', hex('after the first'));
    expect(first.filter((packet) => packet.length === 2 * 1440)).to.have.lengthOf(100);
    // The kernel may say either, by its version.
    for (const end of [router, target]) end.ip('link set cluster0 mtu 1300');
    for (let i = 0; i < 2; i++) {
      const { sent, gso, off } = await sender.do('linkBurst', ROUTER, TARGET, 100, 1400);
      expect({ sent, gso }).to.deep.equal({ sent: 100, gso: false });
      expect(off).to.have.lengthOf(1);
      expect(off[0]).to.match(/^gso (EINVAL|EMSGSIZE)$/);
    }
    await sender.do('linkSend', ROUTER, TARGET, 20, 'after the last');
    const last = await receiver.do('take', 'cluster0', hex('after the last'));
    // Each in two fragments.
    expect(last).to.have.lengthOf(2 * 200 + 1);
  });

  it('drops what the socket does not take, as queue-overflow, and keeps nothing', async () => {
    router.run('tc qdisc add dev cluster0 root tbf rate 8kbit burst 1600 limit 1000000000');
    const burst = () => sender.do('linkBurst', ROUTER, TARGET, 256, 1200);
    let last = await burst();
    for (let i = 0; i < 200 && last.sent === 256; i++) last = await burst();
    expect(last.sent).to.be.lessThan(256);
    const { drops } = last;
    expect(drops['queue-overflow']).to.equal(256 - last.sent);
    expect(drops['send-failed']).to.equal(0);
    router.run('tc qdisc del dev cluster0 root');
    expect((await burst()).drops['queue-overflow']).to.equal(drops['queue-overflow']);
  });
});
