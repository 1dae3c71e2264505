import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { dvipaCommand, PROJECT_ROOT } from '../../src/lab/program.ts';
import type { RunResult } from '../../src/lab/run.ts';
import { waitFor } from '../../src/lab/wait-for.ts';
import type { TraceSnapshot } from '../../src/observe/trace-snapshot.ts';
import { Cluster, missingForCluster } from './support/cluster.ts';
import { tshark } from './support/tshark.ts';

const FRAME = ['frame.interface_name', 'frame.comment', 'frame.time_epoch', 'ip.src', 'ip.dst'];

/** `dvipa capture` and `dvipa trace` in a cluster at work; captures are read by a program that we did not write. */
describe('dvipa capture and dvipa trace', function () {
  this.timeout(60_000);
  let cluster: Cluster;
  let inner = '';

  before(async function () {
    this.timeout(120_000);
    expect(missingForCluster(PROJECT_ROOT)).to.deep.equal([]);
    cluster = await Cluster.up(
      'cap',
      {
        clients: 1,
        targets: 1,
        values: {
          inbound_filter: 'filter',
          inbound_rules: '{ action: permit, protocol: tcp, ports: "80" }, { action: permit, protocol: icmp }',
        },
      },
      async (lab) => {
        const config = join(lab.options.folder, 'hosts/router1/dvipa/dvipa.yaml');
        appendFileSync(config, '\nkeys_export: { file: esp_sa }\n');
      },
    );
    await cluster.installed();
    inner = cluster.lab.plan.find(({ name }) => name === 'client1')?.innerAddress ?? '';
  });
  after(() => cluster?.down());

  const on = (name: string, argv: readonly string[], input?: string) =>
    cluster.lab.host(name).exec(argv, input === undefined ? {} : { input });
  const agentLog = (name: string) =>
    readFileSync(join(cluster.lab.options.folder, `logs/${name}-agent.log`), 'utf8');
  const get = (port: number) =>
    on('client1', ['curl', '-s', '-o', '/dev/null', '--max-time', '2', `http://${cluster.dvipa}:${port}/`]);

  /** Captures on a host while `during` happens. */
  async function captured(
    name: string,
    args: readonly string[],
    during: () => Promise<unknown>,
  ): Promise<{ file: string; result: RunResult }> {
    const file = cluster.file(`${name}-${args.join('')}.pcapng`);
    const from = agentLog(name).length;
    const running = on(name, dvipaCommand('capture', file, '--seconds', '4', ...args));
    const hasBegun = () => /capture begins|is captured/.test(agentLog(name).slice(from));
    await waitFor('the capture begins', hasBegun, { timeoutMs: 20_000 });
    await during();
    return { file, result: await running };
  }

  it('shows tshark what the filter dropped, with the reason, and the ESP of it with exported keys', async () => {
    const from = Date.now() / 1000;
    const { file, result } = await captured('router1', ['--drops-only'], () => get(81));
    expect(result).to.include({ status: 0 });
    expect(result.stderr).to.match(/^[1-9]\d* packets, 0 lost\n$/);
    expect(statSync(file).mode & 0o777).to.equal(0o600);
    const { rows, stderr } = tshark(file, undefined, FRAME);
    expect(stderr).to.not.contain('appears to');
    expect(rows.length).to.be.at.least(1);
    for (const [point, comment, time, , destination] of rows) {
      expect([point, comment, destination]).to.deep.equal([
        'route/outside-in',
        'dropped: filter',
        '192.0.2.10',
      ]);
      expect(Number(time)).to.be.within(from - 1, Date.now() / 1000);
    }
    await cluster.lab.router.must(dvipaCommand('keys', 'export'));
    const keys = cluster.file('hosts/router1/dvipa/esp_sa');
    const opened = tshark(file, keys, ['ip.src', 'tcp.dstport'], 'tcp.dstport == 81').rows;
    expect(opened.length).to.equal(rows.length);
    expect(opened[0]?.[0]).to.contain(inner);
  });

  it('shows plaintext on a target only with --inner, which its log tells', async () => {
    const without = await captured('target1', [], () => get(80));
    const points = (file: string) =>
      new Set(tshark(file, undefined, ['frame.interface_name']).rows.map(([point]) => point));
    expect([...points(without.file)]).to.have.members(['target/link-in', 'target/sealed']);
    expect(tshark(without.file, undefined, ['frame.number'], 'http').rows).to.deep.equal([]);
    expect(agentLog('target1')).to.not.contain('plaintext');

    const { file } = await captured('target1', ['--inner'], () => get(80));
    expect([...points(file)]).to.have.members([
      'target/link-in',
      'target/opened',
      'target/sealed',
      'target/tun-in',
      'target/tun-out',
    ]);
    const requests = tshark(
      file,
      undefined,
      ['frame.interface_name'],
      'tcp.dstport == 80 && tcp.len > 0',
    ).rows;
    expect(requests.map(([point]) => point)).to.deep.equal(['target/opened', 'target/tun-out']);
    expect(tshark(file, undefined, ['frame.number'], 'http.request').rows.length).to.equal(1);
    expect(agentLog('target1')).to.match(/warn +plaintext of SAs is captured .*command=capture/);
  });

  it('traces a packet through the routing host, and an answer on the target, and no counter moves', async () => {
    const state = async () => [
      await cluster.allDrops(),
      (await cluster.ask('router1', 'connections')).map((entry) => ({ ...entry, remainingMs: 0 })),
      await cluster.ask('router1', 'filters'),
    ];
    const before = await state();
    const trace = async (name: string, ...args: string[]) =>
      JSON.parse((await on(name, dvipaCommand('trace', '--json', ...args))).stdout) as TraceSnapshot;
    const web = await trace('router1', '--from', `${inner}:40000`, '--to', `${cluster.dvipa}:80`);
    expect(web.outcome).to.deep.equal({ kind: 'dispatch', target: 'target1' });
    const other = await trace('router1', '--from', `${inner}:40000`, '--to', `${cluster.dvipa}:81`);
    expect(other.outcome).to.deep.equal({ kind: 'drop', reason: 'filter' });
    const answer = await trace(
      'target1',
      '--from',
      `${cluster.dvipa}:80`,
      '--to',
      `${inner}:40000`,
      '--flags',
      'ack',
      '--outbound',
    );
    expect(answer.steps.map(({ step }) => step)).to.include.members(['policy', 'fit', 'number']);
    expect(await state()).to.deep.equal(before);
  });

  it('traces a whole packet from standard input, and says what its reason means', async () => {
    const clear = '4500001400000000400100000a010101cb00710a';
    const { status, stdout } = await on('router1', dvipaCommand('trace', '--hex', '-'), clear);
    expect(status).to.equal(0);
    expect(stdout).to.contain('route, inbound');
    const wrong = await on('router1', dvipaCommand('trace', '--hex', '-'), '45zz');
    expect(wrong).to.include({ status: 1 });
    expect(wrong.stderr).to.contain('hex: expected whole bytes in hex');
    const filtered = await on(
      'router1',
      dvipaCommand('trace', '--from', `${inner}:1`, '--to', `${cluster.dvipa}:81`),
    );
    expect(filtered.stdout)
      .to.contain('dropped as filter')
      .and.contain('a rule of the inbound filter says deny');
  });
});
