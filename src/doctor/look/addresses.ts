import { whoHas } from '../../io/address-probe.ts';
import { linkAddresses } from '../../io/tun-device.ts';
import { parseAddress } from '../../packet/address.ts';
import type { Finding } from '../finding.ts';
import { type AddressAnswers, judgeAddresses } from '../judge/addresses.ts';
import { largerSetting } from './interfaces.ts';
import { reasonOf } from './outcome.ts';
import { dvipasOf, endpointsOf, isAgentRunning, type Situation } from './situation.ts';

export async function lookAtAddresses(situation: Situation): Promise<Finding[]> {
  const { config } = situation;
  const dvipas = dvipasOf(config);
  const endpoints = endpointsOf(config);
  const names = [...new Set([config.outside.interface, config.cluster.interface])];
  const asked = [...new Set([...dvipas, ...endpoints])];
  const places = config.role === 'route' ? [config.outside.interface] : names;
  const [present, answers, arp] = await Promise.all([
    linkAddresses(),
    Promise.all(places.flatMap((name) => asked.map((address) => answersFor(address, name)))),
    config.role === 'route' ? [] : Promise.all(names.map(arpOf)),
  ]);
  return judgeAddresses({
    role: config.role,
    cluster: { address: config.cluster.address, interface: config.cluster.interface },
    present: present.map(({ name, addresses }) => ({ interface: name, addresses })),
    endpoints,
    dvipas,
    tun: config.role === 'target' ? config.tun.name : undefined,
    answers,
    arp,
    isAgentRunning: isAgentRunning(situation),
  });
}

async function answersFor(address: string, name: string): Promise<AddressAnswers> {
  const parsed = parseAddress(address);
  if (parsed === undefined) return { address, interface: name, owners: { unknown: 'no address' } };
  try {
    return { address, interface: name, owners: await whoHas(name, parsed) };
  } catch (error) {
    return { address, interface: name, owners: { unknown: `cannot ask: ${reasonOf(error)}` } };
  }
}

async function arpOf(name: string) {
  return {
    interface: name,
    ignore: await largerSetting(name, 'arp_ignore'),
    announce: await largerSetting(name, 'arp_announce'),
  };
}
