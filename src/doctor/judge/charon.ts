import { fail, type Finding, ok, skipped, warn } from '../finding.ts';

export interface CharonFacts {
  readonly version: string;
  readonly vici: { readonly socket: string; readonly answer: Answer<{ readonly version: string }> };
  readonly plugin: { readonly socket: string; readonly answer: Answer<PluginFacts> };
  readonly dvipas: readonly string[];
  readonly endpoints: readonly string[];
}

export interface PluginFacts {
  readonly version: string;
  /** strongSwan's, as the plugin sees it. */
  readonly daemon: string;
  /** Whether what concerns no DVIPA goes to the kernel's own backend; undefined: a plugin that does not say. */
  readonly delegates: boolean | undefined;
  readonly dvipas: readonly string[];
  readonly endpoints: readonly string[];
}

export type Answer<T> = { readonly is: T } | { readonly unreachable: string };

const PLUGIN_CONF = '/etc/strongswan.d/charon/kernel-dvipa.conf';

export function judgeCharon(facts: CharonFacts): Finding[] {
  const { vici, plugin } = facts;
  const findings = [judgeVici(vici)];
  if ('unreachable' in plugin.answer)
    return [...findings, judgeMissing(facts, plugin.answer.unreachable), ...NOT_ASKED];
  const found = plugin.answer.is;
  return [
    ...findings,
    ok('plugin', 'kernel-dvipa answers', plugin.socket),
    judgeVersion(facts, found),
    judgeStrongSwan(facts, found),
    ...judgeAddresses(facts, found),
  ];
}

const NOT_ASKED = (['plugin-version', 'plugin-strongswan', 'plugin-addresses'] as const).map((id) =>
  skipped(id, 'the plugin does not answer'),
);

function judgeVici({ socket, answer }: CharonFacts['vici']): Finding {
  if ('is' in answer) return ok('charon', `strongSwan ${answer.is.version}`, socket);
  return fail(
    'charon',
    answer.unreachable,
    'systemctl start strongswan; if it fails: journalctl -u strongswan',
    socket,
  );
}

function judgeMissing({ vici, plugin }: CharonFacts, reason: string): Finding {
  if ('unreachable' in vici.answer) return skipped('plugin', 'charon does not answer', plugin.socket);
  const remedy = `set load = yes and socket in ${PLUGIN_CONF}, and restart charon (make install-plugin)`;
  return fail('plugin', `charon runs, and the plugin does not answer: ${reason}`, remedy, plugin.socket);
}

function judgeVersion({ version }: CharonFacts, plugin: PluginFacts): Finding {
  const { delegates } = plugin;
  const told = delegates === undefined ? '' : `; delegates: ${delegates ? 'yes' : 'no'}`;
  const found = `plugin ${plugin.version}, agent ${version}${told}`;
  if (plugin.version === version) return ok('plugin-version', found);
  return fail('plugin-version', found, 'make install-plugin, then restart charon');
}

function judgeStrongSwan({ vici }: CharonFacts, { daemon }: PluginFacts): Finding {
  if ('unreachable' in vici.answer)
    return skipped('plugin-strongswan', `charon does not answer; the plugin says ${daemon}`);
  const { version } = vici.answer.is;
  const found = `built for strongSwan ${daemon}; ${version} answers`;
  if (version === daemon) return ok('plugin-strongswan', found);
  return fail('plugin-strongswan', found, 'do charon.vici and charon.plugin name sockets of one charon?');
}

function judgeAddresses({ dvipas, endpoints }: CharonFacts, plugin: PluginFacts): Finding[] {
  const known = new Set([...plugin.dvipas, ...plugin.endpoints]);
  const missing = [
    ...dvipas.filter((address) => !plugin.dvipas.includes(address)),
    ...endpoints.filter((address) => !known.has(address) && !dvipas.includes(address)),
  ];
  const set = `dvipas = ${dvipas.join(', ')} and endpoints = ${endpoints.join(', ')} in ${PLUGIN_CONF}`;
  const remedy = `set ${set}; then swanctl --reload-settings`;
  if (missing.length > 0) {
    return missing.map((address) =>
      fail('plugin-addresses', 'the plugin does not know it: its SAs are refused', remedy, address),
    );
  }
  const unserved = plugin.dvipas.filter((address) => !dvipas.includes(address));
  if (unserved.length > 0) {
    return unserved.map((address) =>
      warn(
        'plugin-addresses',
        'a DVIPA of the plugin that this configuration does not serve',
        remedy,
        address,
      ),
    );
  }
  return [ok('plugin-addresses', [...known].join(', '))];
}
