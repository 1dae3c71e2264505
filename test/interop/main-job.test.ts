import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { askAgent } from '../../src/lab/agent.ts';
import { startCapture } from '../../src/lab/capture.ts';
import { clearPackets } from '../../src/lab/demo/checks.ts';
import { download, newMarker, requestMany } from '../../src/lab/demo/traffic.ts';
import { findEspRepeats } from '../../src/lab/esp-repeats.ts';
import { Lab } from '../../src/lab/lab.ts';
import type { TemplateValues } from '../../src/lab/scenario.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import {
  classifyCluster,
  classifyOutside,
  countClasses,
  countPacketsWith,
} from '../../src/lab/wire-class.ts';
import { logsOf } from './support/lab-observations.ts';

const folder = join(tmpdir(), 'dvipa-main-job');

const cases: [scenario: string, values: TemplateValues][] = [
  ['endpoint', { esp_proposals: 'aes128gcm16', inbound_filter: 'filter' }],
  ['endpoint', { esp_proposals: 'aes128-sha256', inbound_filter: 'bypass' }],
  ['direct', { esp_proposals: 'aes256gcm16', inbound_filter: 'bypass' }],
];

for (const [scenario, values] of cases) {
  describe(`the main job, scenario ${scenario}, ${JSON.stringify(values)}`, () => {
    let lab: Lab;

    before(async () => {
      lab = await Lab.up({ prefix: 'dvipatest', folder, scenario, targets: 3, clients: 2, values });
    });

    after(() => lab?.down());

    afterEach(async function () {
      if (this.currentTest?.state === 'failed') console.log(await logsOf(folder));
    });

    it('spreads connections over the targets, each of which answers for itself', async () => {
      for (const client of lab.hostsOf('client')) {
        const { perTarget, failed } = await requestMany(client, lab.scenario.dvipa, 9);
        expect(failed).to.equal(0);
        expect(perTarget).to.deep.equal({ target1: 3, target2: 3, target3: 3 });
      }
    });

    it('carries a download whole, in clear on no wire and no number or nonce twice', async () => {
      const outside = await startCapture(lab.host('outside'), undefined, join(folder, 'outside.pcap'));
      const cluster = await startCapture(lab.host('cluster'), undefined, join(folder, 'cluster.pcap'));
      const marker = newMarker(`${scenario} ${Date.now()}`);
      const got = await download(lab.host('client1'), lab.scenario.dvipa, 3_000_000, marker, 60);
      const [wire, inner] = await Promise.all([outside.stop(), cluster.stop()]);
      expect(got).to.include({ bytes: 3_000_000, sha256ok: true });
      expect(wire.droppedByKernel + inner.droppedByKernel).to.equal(0);
      const [wirePackets, innerPackets] = [readPcap(wire.file), readPcap(inner.file)];
      const seen = {
        outside: countClasses(wirePackets, classifyOutside),
        cluster: countClasses(innerPackets, classifyCluster),
        markerOnWires: countPacketsWith(wirePackets, marker) + countPacketsWith(innerPackets, marker),
      };
      expect(clearPackets(seen), JSON.stringify(seen)).to.equal(0);
      const { packets, repeats } = findEspRepeats(wirePackets);
      expect(packets).to.be.greaterThan(2_000);
      expect(repeats).to.deep.equal([]);
    });

    it('opens inbound packets on every target and none on the routing host', async () => {
      const { counters } = await askAgent(lab.router, 'status');
      expect(counters.opened).to.equal(0);
      for (const target of lab.hostsOf('target')) {
        expect((await askAgent(target, 'status')).counters.opened, target.name).to.be.greaterThan(0);
      }
    });

    it("shows the targets' counts in charon's list of SAs", async () => {
      const listed = await lab.router.must(['swanctl', '--list-sas']);
      const packets = [...listed.matchAll(/^ +in +[0-9a-f]{8}.*?(\d+) packets/gm)].map(([, count]) =>
        Number(count),
      );
      expect(packets).to.have.length(2);
      for (const count of packets) expect(count, listed).to.be.greaterThan(20);
    });
  });
}
