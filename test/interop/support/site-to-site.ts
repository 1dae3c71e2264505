import { readFileSync, writeFileSync } from 'node:fs';
import { loadSwanctl } from '../../../src/lab/charon.ts';
import type { Host } from '../../../src/lab/host.ts';
import { hostFolder } from '../../../src/lab/host-files.ts';
import type { Lab } from '../../../src/lab/lab.ts';

/** An ordinary tunnel between two networks, which a host may have had before it became a routing host. */
export interface Site {
  readonly host: string;
  /** Where its IKE and ESP are. */
  readonly address: string;
  readonly network: string;
  /** The site's own address in that network, on its loopback interface. */
  readonly inner: string;
}

/** Ends of the test's tunnel: the routing host, at an address that is no endpoint, and a stock Linux kernel. */
export const OURS: Site = {
  host: 'router1',
  address: '192.0.2.1',
  network: '10.9.0.0/16',
  inner: '10.9.0.1',
};
export const THEIRS: Site = {
  host: 'kernel1',
  address: '192.0.2.111',
  network: '10.8.0.0/16',
  inner: '10.8.0.1',
};

const PROPOSALS = 'proposals = aes128-sha256-x25519';

/** Text for `swanctl.conf`: a connection `name` from one site to the other. One setting a line, as swanctl wants it. */
export function siteConnection(
  name: string,
  from: Site,
  to: Site,
  { connection = '', child = '' }: { readonly connection?: string; readonly child?: string } = {},
): string {
  return `connections {
  ${name} {
    version = 2
    local_addrs = ${from.address}
    remote_addrs = ${to.address}
    ${PROPOSALS}
    rekey_time = 0
    ${connection}
    local {
      auth = pubkey
      certs = ${from.host}.pem
      id = ${from.host}
    }
    remote {
      auth = pubkey
      cacerts = ca.pem
      id = ${to.host}
    }
    children {
      ${name} {
        local_ts = ${from.network}
        remote_ts = ${to.network}
        esp_proposals = aes256gcm16
        rekey_time = 0
        ${child}
      }
    }
  }
}
`;
}

/** Text for `swanctl.conf`: a policy without IPsec. */
export function shunt(name: string, mode: 'pass' | 'drop', localTs: string, remoteTs: string): string {
  return `connections {
  ${name} {
    children {
      ${name} {
        mode = ${mode}
        local_ts = ${localTs}
        remote_ts = ${remoteTs}
        start_action = trap
      }
    }
  }
}
`;
}

/** Changes the configuration of a host's charon, which is not told. */
export function editConfiguration(lab: Lab, host: string, edit: (text: string) => string): void {
  const file = `${hostFolder(lab.options.folder, host)}/swanctl/swanctl.conf`;
  writeFileSync(file, edit(readFileSync(file, 'utf8')));
}

/** Adds to the configuration of a host's charon and has it read; returns what takes it away again. */
export async function addConnections(lab: Lab, host: string, text: string): Promise<() => Promise<void>> {
  editConfiguration(lab, host, (before) => before + text);
  await loadSwanctl(lab.host(host));
  return async () => {
    editConfiguration(lab, host, (before) => before.replace(text, ''));
    await loadSwanctl(lab.host(host));
  };
}

/**
 * The guest's kernel (Debian's User Mode Linux) is built without nftables for IP, so the routing agent's guard cannot be there. In
 * its place something that takes all rules and keeps none. What is lost is a drop at endpoints and DVIPAs, which
 * the tests of the guard are about: no rule of it names another address.
 */
export async function replaceNft(host: Host, file: string): Promise<void> {
  const script = `#!/bin/sh
case "$*" in
  '-f -') cat >/dev/null ;;
  *'list tables'*) echo '{"nftables":[{"table":{"name":"dvipa_route"}}]}' ;;
  *) exit 1 ;;
esac
`;
  writeFileSync(file, script, { mode: 0o755 });
  await host.must(['mount', '--bind', file, '/usr/sbin/nft']);
}

/** An SA of a kernel, by its SPI, as 8 hex digits. */
export interface KernelSa {
  readonly spi: string;
  readonly source: string;
  readonly destination: string;
  readonly bytes: number;
  readonly packets: number;
}

/** What `ip -s xfrm state` says. */
export async function kernelSas(host: Host): Promise<KernelSa[]> {
  const said = await host.must(['ip', '-s', 'xfrm', 'state']);
  return said
    .split(/^(?=src )/m)
    .filter((block) => block !== '')
    .map((block) => {
      const [, source = '', destination = '', spi = ''] =
        /^src (\S+) dst (\S+)\n\s*proto esp spi 0x([0-9a-f]{8})/.exec(block) ?? [];
      const [, bytes, packets] = /lifetime current:\n\s*(\d+)\(bytes\), (\d+)\(packets\)/.exec(block) ?? [];
      return { source, destination, spi, bytes: Number(bytes), packets: Number(packets) };
    });
}

/** Policies of a kernel, a text each; not those of sockets. */
export async function kernelPolicies(host: Host): Promise<string[]> {
  const said = await host.must(['ip', 'xfrm', 'policy']);
  return said.split(/^(?=src )/m).filter((block) => block !== '' && !block.includes('socket'));
}
