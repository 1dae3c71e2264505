import type { LabHostPlan } from '../../../../src/lab/addresses.ts';
import type { Scenario } from '../../../../src/lab/scenario.ts';
import { type Cell, childName, type Group, type Wrapping } from './cells.ts';

/** The addresses of a cell, as the peer sees them. */
export interface CellAddresses {
  readonly outerLocal: string;
  readonly outerRemote: string;
  readonly innerLocal: string;
  readonly innerRemote: string;
}

/** A tunnel goes to the endpoint in front of the DVIPA, transport mode to the DVIPA itself. */
export function addressesOf(wrapping: Wrapping, host: LabHostPlan, scenario: Scenario): CellAddresses {
  const { mode, outside, inside } = wrapping;
  const dvipa = (family: 4 | 6) => present(family === 4 ? scenario.dvipa : scenario.dvipa6);
  const endpoint = present(outside === 4 ? scenario.endpoint : scenario.endpoint6);
  const outerLocal = outside === 4 ? host.outsideAddress : host.outsideAddress6;
  if (mode === 'transport') {
    const outerRemote = dvipa(outside);
    return { outerLocal, outerRemote, innerLocal: outerLocal, innerRemote: outerRemote };
  }
  const innerLocal = present(inside === 4 ? host.innerAddress : host.innerAddress6);
  return { outerLocal, outerRemote: endpoint, innerLocal, innerRemote: dvipa(inside) };
}

/** The peer's swanctl.conf: a connection for each group, a CHILD_SA of its own port for each cell. */
export function peerConf(groups: readonly Group[], host: LabHostPlan, scenario: Scenario): string {
  const connections = groups.map(({ name, cells }) => connection(name, cells, host, scenario));
  return `connections {\n${connections.join('')}}\n`;
}

function connection(name: string, cells: readonly Cell[], host: LabHostPlan, scenario: Scenario): string {
  const [first] = cells;
  if (first === undefined) return '';
  const { outerLocal, outerRemote } = addressesOf(first.wrapping, host, scenario);
  const children = cells.map((cell) => child(cell, addressesOf(cell.wrapping, host, scenario)));
  return `  ${name} {
    version = 2
    local_addrs = ${outerLocal}
    remote_addrs = ${outerRemote}
    proposals = aes128-sha256-x25519
    mobike = no
    encap = ${first.wrapping.way === 'udp' ? 'yes' : 'no'}
    local {
      auth = pubkey
      certs = ${host.name}.pem
      id = ${host.name}
    }
    remote {
      auth = pubkey
      id = router1
    }
    children {
${children.join('')}    }
  }
`;
}

function child(cell: Cell, { innerLocal, innerRemote }: CellAddresses): string {
  const { suite, wrapping, port } = cell;
  return `      ${childName(cell)} {
        mode = ${wrapping.mode}
        local_ts = ${innerLocal}[tcp]
        remote_ts = ${innerRemote}[tcp/${port}]
        esp_proposals = ${suite.proposal}${wrapping.esn ? '-esn' : ''}
        rekey_time = 1h
      }
`;
}

function present(address: string | undefined): string {
  if (address === undefined) throw new Error('the scenario has no such address');
  return address;
}
