import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { startCapture } from '../../src/lab/capture.ts';
import { Lab } from '../../src/lab/lab.ts';
import { readPcap } from '../../src/lab/pcap.ts';
import { logsOf, whoAnswers } from './support/lab-observations.ts';

const folder = join(tmpdir(), 'dvipa-clear');

/** A stranger who sends to the DVIPA in clear, straight to a target's interface, as if it were a router. */
describe('clear packets to a target', () => {
  let lab: Lab;

  before(async () => {
    lab = await Lab.up({ prefix: 'dvipatest', folder, targets: 1, clients: 1, tunnels: false });
    await lab.host('client1').must(['ip', 'route', 'add', lab.scenario.dvipa, 'via', '192.0.2.21']);
    // The application is there: it answers on its own host.
    expect(await whoAnswers(lab.host('target1'), lab.scenario.dvipa)).to.equal('target1');
  });

  after(() => lab?.down());

  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(await logsOf(folder));
  });

  async function answersInClear(name: string): Promise<number> {
    const capture = await startCapture(lab.host('outside'), undefined, join(folder, `${name}.pcap`), {
      filter: ['src', 'host', lab.scenario.dvipa],
    });
    expect(await whoAnswers(lab.host('client1'), lab.scenario.dvipa, 1)).to.equal(undefined);
    return readPcap((await capture.stop()).file).packets.length;
  }

  it('reach no application and get no answer', async () => {
    expect(await answersInClear('agent-up')).to.equal(0);
  });

  it('neither after kill -9 of the agent: the guard outlives it', async () => {
    await lab.process('target1', 'agent').kill('SIGKILL');
    expect(await answersInClear('agent-killed')).to.equal(0);
  });

  it('are stopped on the way in: the application gets no connection even half open', async () => {
    const rules = await lab.host('target1').must(['nft', 'list', 'ruleset']);
    expect(rules).to.match(/counter clear_in \{\s+packets [1-9]/);
  });
});
