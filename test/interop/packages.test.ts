import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { PROJECT_ROOT } from '../../src/lab/program.ts';
import { must, run } from '../../src/lab/run.ts';
import { CleanHost } from '../support/clean-root/clean-host.ts';
import { cleanRoot, missingForCleanRoot } from '../support/clean-root/clean-root.ts';
import { debianPackages, install } from '../support/clean-root/packages.ts';
import { skipBecause } from '../support/summary-reporter.ts';

const VERSION = (JSON.parse(readFileSync(join(PROJECT_ROOT, 'package.json'), 'utf8')) as { version: string })
  .version;
/** In tenths: 10 is 100, 0 is nothing that systemd knows to take away. */
const MAX_EXPOSURE = 25;

describe('Debian packages', function () {
  this.timeout(600_000);
  let agent = '';
  let plugin = '';
  let folder = '';
  let host: CleanHost | undefined;

  before(async function () {
    const missing = missingForCleanRoot();
    if (missing !== undefined) skipBecause(this, missing);
    ({ agent, plugin } = await debianPackages());
    folder = mkdtempSync(join(tmpdir(), 'dvipa-packages-'));
  });

  after(async () => {
    await host?.remove();
    if (folder !== '') rmSync(folder, { recursive: true });
  });

  const there = (): CleanHost => {
    if (host === undefined) throw new Error('not installed');
    return host;
  };

  /** The same package as a later version, with one file more; not compressed, for speed. */
  const nextVersion = async (file: string, version: string, extra: string): Promise<string> => {
    const [tree, next] = [join(folder, 'tree'), join(folder, `${version}-${file.split('/').at(-1)}`)];
    const script = `dpkg-deb -R "$1" "$2" && sed -i "s/= ${VERSION})/= $3)/; s/^Version: .*/Version: $3/" "$2/DEBIAN/control"
      mkdir -p "$2/$(dirname "$5")" && echo new >"$2/$5" && dpkg-deb -Znone -b --root-owner-group "$2" "$4" && rm -r "$2"`;
    await must(['sh', '-euc', script, '_', file, tree, version, next, extra]);
    return next;
  };

  it('have no lintian error', async () => {
    const said = await run(['lintian', '--allow-root', '--fail-on', 'error', agent, plugin], {
      timeoutMs: 300_000,
    });
    expect(said.status, said.stdout + said.stderr).to.equal(0);
  });

  it('plugin package fits every Debian revision of the strongSwan it was built for, and no other version', async () => {
    const built = (await must(['dpkg-query', '-Wf${source:Upstream-Version}', 'libstrongswan'])).trim();
    const depends = await must(['dpkg-deb', '-f', plugin, 'Depends']);
    const bounds = [...depends.matchAll(/libstrongswan \((>=|<<) ([^)]+)\)/g)];
    expect(bounds).to.have.length(2);
    const fits = async (version: string) => {
      for (const [, relation = '', bound = ''] of bounds) {
        const { status } = await run(['dpkg', '--compare-versions', version, relation, bound]);
        if (status !== 0) return false;
      }
      return true;
    };
    for (const revision of ['-1', '-5+deb12u6', '-12ubuntu4']) {
      expect(await fits(`${built}${revision}`), revision).to.equal(true);
    }
    const [major, minor, patch] = built.split('.').map(Number);
    const others = [`${major}.${minor}.${Number(patch) + 1}`, `${major}.${minor}.${Number(patch) - 1}`];
    for (const other of [...others, `${built}.1`, `${Number(major) + 1}.0.0`]) {
      expect(await fits(`${other}-1`), other).to.equal(false);
    }
  });

  it('install in a clean Debian root, start and enable no agent, and load nothing into charon', async () => {
    host = await CleanHost.start('packages', { lower: [await cleanRoot()] });
    await install(host, agent, plugin);
    expect(await host.must(['dvipa', 'version'])).to.match(new RegExp(`^dvipa ${VERSION} \\(Node.js 24`));
    const folder = '/usr/share/doc/strongswan-dvipa-agent';
    for (const role of ['route', 'target'])
      await host.must(['dvipa', 'check-config', '--no-files', `${folder}/examples/${role}-options.yaml`]);
    // As the first line of each says.
    JSON.parse(await host.must(['cat', `${folder}/examples/../dvipa.schema.json`]));
    const enabled = await host.exec(['systemctl', 'is-enabled', 'dvipa-route', 'dvipa-target']);
    expect(enabled.stdout).to.equal('disabled\ndisabled\n');
    expect(
      await host.sh('id -un dvipa; getent passwd dvipa | cut -d : -f 6,7; stat -c %U:%G:%a /etc/dvipa/pki'),
    ).to.equal('dvipa\n/nonexistent:/usr/sbin/nologin\nroot:dvipa:2750\n');
    expect(await host.must(['cat', '/etc/strongswan.d/charon/kernel-dvipa.conf'])).to.match(
      /^ {4}load = no$/m,
    );
  });

  it('have man pages, examples that are valid, and completion for three shells', async () => {
    const files = (await there().must(['dpkg', '-L', 'strongswan-dvipa-agent'])).split('\n');
    expect(files).to.include.members([
      '/usr/share/man/man1/dvipa.1.gz',
      '/usr/share/man/man5/dvipa.yaml.5.gz',
    ]);
    for (const example of ['routing-host', 'target']) {
      const place = `/usr/share/doc/strongswan-dvipa-agent/examples/${example}.yaml`;
      await there().must(['dvipa', 'check-config', '--no-files', place]);
    }
    const completions = files.filter((file) => /completions(?:\.d)?\/_?dvipa(?:\.fish)?$/.test(file));
    expect(completions).to.have.length(3);
  });

  for (const unit of ['dvipa-route.service', 'dvipa-target.service']) {
    it(`unit ${unit} is sound, and takes away what an agent can do without`, async () => {
      const place = `/lib/systemd/system/${unit}`;
      const verified = await there().exec(['systemd-analyze', 'verify', '--man=no', place]);
      expect(verified.stdout + verified.stderr).to.equal('');
      expect(verified.status).to.equal(0);
      const analyze = ['systemd-analyze', 'security', '--no-pager', '--offline=yes'];
      const judged = await there().exec([...analyze, `--threshold=${MAX_EXPOSURE}`, place]);
      expect(judged.status, judged.stdout).to.equal(0);
      // What is asked can be answered with no.
      expect((await there().exec([...analyze, '--threshold=1', place])).status).to.not.equal(0);
    });
  }

  it('upgrade keeps what the operator wrote, and replaces the rest', async () => {
    const conf = '/etc/strongswan.d/charon/kernel-dvipa.conf';
    await there().must(['sed', '-i', 's/# dvipas =/dvipas = 203.0.113.10/', conf]);
    there().write('/etc/dvipa/dvipa.yaml', 'host: router1\n');
    there().write('/etc/dvipa/pki/ca.key', 'a key\n', 0o600);
    const edited = await there().sh(`cat ${conf} /etc/dvipa/dvipa.yaml; stat -c %a /etc/dvipa/pki/ca.key`);
    const extra = 'usr/share/doc/strongswan-dvipa-agent/new';
    const next = await nextVersion(agent, '99.0', extra);
    await install(there(), next, await nextVersion(plugin, '99.0', 'usr/share/doc/new-plugin'));
    expect(await there().must(['dpkg-query', '-Wf${Version}', 'strongswan-plugin-kernel-dvipa'])).to.equal(
      '99.0',
    );
    expect(await there().must(['cat', `/${extra}`])).to.equal('new\n');
    expect(await there().sh(`cat ${conf} /etc/dvipa/dvipa.yaml; stat -c %a /etc/dvipa/pki/ca.key`)).to.equal(
      edited,
    );
  });

  it('removing the plugin says that charon will not start while its configuration wants it', async () => {
    const remove = ['apt-get', '-q', '-y', 'remove', 'strongswan-plugin-kernel-dvipa'];
    await there().must([
      'sed',
      '-i',
      's/load = no/load = yes/',
      '/etc/strongswan.d/charon/kernel-dvipa.conf',
    ]);
    const { stdout, stderr } = await there().exec(remove, { timeoutMs: 120_000 });
    expect(stdout + stderr).to.contain(
      "charon will not start again while /etc/strongswan.d/charon/kernel-dvipa.conf says 'load = yes'",
    );
  });

  it('purge leaves what the operator wrote and the system user, and nothing else', async () => {
    const ours = `find / -xdev \\( -path /proc -o -path /sys -o -path /var/lib/dpkg -o -path /var/cache \\) -prune -o -path '*dvipa*' -print | sort`;
    await there().must(['mkdir', '-p', '/var/log/dvipa']);
    const purge = [
      'apt-get',
      '-q',
      '-y',
      'purge',
      'strongswan-plugin-kernel-dvipa',
      'strongswan-dvipa-agent',
    ];
    await there().must(purge, { timeoutMs: 120_000 });
    const left = ['/etc/dvipa', '/etc/dvipa/dvipa.yaml', '/etc/dvipa/pki', '/etc/dvipa/pki/ca.key'];
    expect((await there().sh(ours)).trim().split('\n')).to.deep.equal(left);
    expect(await there().sh('dpkg -l | grep dvipa || true; id -un dvipa')).to.equal('dvipa\n');
  });

  it('npm package works when it is installed globally', async () => {
    const pack = ['npm', 'pack', '--ignore-scripts', '--silent', '--pack-destination', folder];
    const tarball = join(folder, (await must(pack, { cwd: PROJECT_ROOT })).trim());
    const prefix = join(folder, 'prefix');
    await must(['npm', 'install', '--silent', '--global', '--prefix', prefix, tarball], {
      timeoutMs: 300_000,
    });
    const command = join(prefix, 'bin/dvipa');
    const own = { cwd: '/' };
    expect(await must([command, 'version'], own)).to.match(new RegExp(`^dvipa ${VERSION} `));
    const example = join(PROJECT_ROOT, 'packaging/examples/routing-host.yaml');
    await must([command, 'check-config', '--no-files', example], own);
    const installed = join(prefix, 'lib/node_modules/strongswan-dvipa');
    const exported = (addon: string, name: string) =>
      `typeof require('${installed}/node_modules/node-gyp-build')('${installed}/plugins/node/${addon}').${name}`;
    expect(await must(['node', '-p', exported('packet-io', 'tunOpen')], own)).to.equal('function\n');
    expect(await must(['node', '-p', exported('packet-crypto', 'libraries')], own)).to.equal('function\n');
    expect(existsSync(join(installed, 'strongswan-conf/endpoint/scenario.yaml'))).to.equal(true);
  });
});
