import ipaddr from 'ipaddr.js';
import { KeyMaterial } from '../../base/key-material.ts';
import { Fields } from '../fields.ts';
import type { ViciMessage } from '../message.ts';
import type {
  PluginChange,
  PluginEvent,
  PluginLimit,
  PluginPolicy,
  PluginSa,
  PluginSaUpdate,
  PluginSelector,
  PluginSnapshot,
} from './types.ts';

/** Caps: longer is not ours, or not sane. */
export const MAX_STATE_BYTES = 1024;
const MAX_KEY_BYTES = 128;
const MAX_SELECTORS = 256;
const MAX_KEY_TEXT = /^[\x20-\x7e]{1,512}$/;
const UINT32 = 0xffffffff;
const UINT16 = 0xffff;

/** Parses an `sa` section with its keys; copies the keys and wipes them in the received frame. Throws ViciError `invalid`. */
export function parseSa(section: ViciMessage): PluginSa {
  const fields = new Fields(section, 'sa');
  const sa = parseSaUpdate(section);
  const encryption = fields.binary('encr-key', MAX_KEY_BYTES);
  const integrity = fields.has('integ-key') ? fields.binary('integ-key', MAX_KEY_BYTES) : Buffer.alloc(0);
  if ((sa.integrityTransform !== 0) !== integrity.length > 0) {
    throw fields.invalid('integ-key', 'a key exactly if there is an integrity algorithm');
  }
  const keys = {
    encryptionKey: KeyMaterial.copyOf(encryption),
    integrityKey: integrity.length > 0 ? KeyMaterial.copyOf(integrity) : undefined,
  };
  encryption.fill(0);
  integrity.fill(0);
  return { ...sa, ...keys };
}

/** Parses an `sa` section, taking no notice of keys. Throws ViciError `invalid`. */
export function parseSaUpdate(section: ViciMessage): PluginSaUpdate {
  const fields = new Fields(section, 'sa');
  return {
    ...parseSaName(fields),
    source: fields.address('src'),
    destination: fields.address('dst'),
    sourcePort: fields.number('sport', UINT16),
    destinationPort: fields.number('dport', UINT16),
    reqid: fields.number('reqid', UINT32),
    group: parseGroup(fields),
    mode: fields.oneOf('mode', ['tunnel', 'transport']),
    hasUdpEncapsulation: fields.flag('encap'),
    hasEsn: fields.flag('esn'),
    replayWindowPackets: fields.number('replay-window', UINT32),
    isInitiator: fields.flag('initiator'),
    isUpdate: fields.flag('update'),
    copyDf: fields.flag('copy-df'),
    copyEcn: fields.flag('copy-ecn'),
    copyDscp: fields.oneOf('copy-dscp', ['out', 'in', 'yes', 'no']),
    tfcBytes: fields.number('tfc', UINT32),
    encryptionTransform: fields.number('encr-alg', UINT16),
    integrityTransform: fields.number('integ-alg', UINT16),
    sourceSelectors: parseSelectors(fields.section('src-ts')),
    destinationSelectors: parseSelectors(fields.section('dst-ts')),
    seconds: parseLimit(fields, 'time'),
    bytes: parseLimit(fields, 'bytes'),
    packets: parseLimit(fields, 'packets'),
    ageMs: fields.number('age-ms'),
    dvipa: fields.address('dvipa'),
    state: parseState(fields, 'state'),
  };
}

/** Parses a `policy` section. Throws ViciError `invalid`. */
export function parsePolicy(section: ViciMessage): PluginPolicy {
  const fields = new Fields(section, 'policy');
  fields.oneOf('action', ['ipsec']);
  const spi = fields.has('spi') ? fields.spi('spi') : 0;
  return {
    ...parsePolicyName(fields),
    direction: fields.oneOf('direction', ['in', 'out', 'fwd']),
    sourceSelector: parseSelector(fields.section('src-ts')),
    destinationSelector: parseSelector(fields.section('dst-ts')),
    source: fields.address('src'),
    destination: fields.address('dst'),
    reqid: fields.number('reqid', UINT32),
    group: fields.number('group', UINT32),
    priority: fields.number('priority', UINT32),
    spi: spi === 0 ? undefined : spi,
  };
}

/** Parses an event of one of the PLUGIN_EVENTS. Throws ViciError `invalid`. */
export function parsePluginEvent(type: PluginChange['type'], message: ViciMessage): PluginEvent {
  const fields = new Fields(message, type);
  return { ...parsePosition(fields), change: parseChange(type, fields) };
}

/** Instance and number alone: enough to see that an event was missed, even if the rest is invalid. */
export function parsePosition(fields: Fields): { instance: string; sequence: number } {
  return {
    instance: fields.match('instance', /^[0-9a-f]{16}$/, '16 hex digits'),
    sequence: fields.number('seq'),
  };
}

/** Parses the reply that ends a `list`. Throws ViciError `invalid`. */
export function parseListReply(reply: ViciMessage): Omit<PluginSnapshot, 'sas' | 'policies'> {
  const fields = new Fields(reply, 'list');
  const states = new Map<string, Buffer>();
  if (fields.has('state')) {
    const section = fields.section('state');
    for (const [dvipa] of section.message.entries) {
      states.set(dvipa, Buffer.from(section.binary(dvipa, MAX_STATE_BYTES)));
    }
  }
  return {
    ...parsePosition(fields),
    dvipas: fields.addresses('dvipas'),
    endpoints: fields.addresses('endpoints'),
    states,
  };
}

function parseChange(type: PluginChange['type'], fields: Fields): PluginChange {
  switch (type) {
    case 'sa-add':
      return { type, sa: parseSa(fields.section('sa').message) };
    case 'sa-update':
      return { type, sa: parseSaUpdate(fields.section('sa').message) };
    case 'sa-delete':
      return { type, ...parseSaName(fields.section('sa')) };
    case 'policy-add':
      return { type, policy: parsePolicy(fields.section('policy').message) };
    case 'policy-delete':
      return { type, ...parsePolicyName(fields.section('policy')) };
  }
}

function parseSaName(fields: Fields): { id: string; spi: number; direction: 'in' | 'out' } {
  const spi = fields.spi('spi');
  if (spi <= 255) throw fields.invalid('spi', 'a number above 255 (RFC 4303 section 2.1)');
  return { id: parseId(fields), spi, direction: fields.oneOf('direction', ['in', 'out']) };
}

function parsePolicyName(fields: Fields): { id: string; key: string } {
  return { id: parseId(fields), key: fields.match('key', MAX_KEY_TEXT, 'up to 512 printable characters') };
}

function parseId(fields: Fields): string {
  return fields.match('id', /^[1-9]\d{0,18}$/, 'a decimal number from 1');
}

function parseGroup(fields: Fields): number {
  const group = fields.number('group', UINT32);
  if (group === 0) throw fields.invalid('group', 'a number from 1');
  return group;
}

function parseSelectors(fields: Fields): PluginSelector[] {
  const sections = fields.sections();
  if (sections.length === 0 || sections.length > MAX_SELECTORS) {
    throw fields.invalid('0', `1 to ${MAX_SELECTORS} traffic selectors`);
  }
  return sections.map(([, selector]) => parseSelector(selector));
}

function parseSelector(fields: Fields): PluginSelector {
  const family = fields.oneOf('family', ['4', '6']) === '4' ? 4 : 6;
  const selector = {
    family,
    from: fields.address('from'),
    to: fields.address('to'),
    protocol: fields.number('protocol', 255),
    fromPort: fields.number('from-port', UINT16),
    toPort: fields.number('to-port', UINT16),
  } as const;
  const from = Buffer.from(ipaddr.parse(selector.from).toByteArray());
  const to = Buffer.from(ipaddr.parse(selector.to).toByteArray());
  const length = family === 4 ? 4 : 16;
  if (from.length !== length || to.length !== length)
    throw fields.invalid('family', 'the addresses to be of it');
  if (from.compare(to) > 0) throw fields.invalid('to', 'an address not below `from`');
  return selector;
}

function parseLimit(fields: Fields, unit: string): PluginLimit {
  return { soft: fields.limit(`${unit}-soft`), hard: fields.limit(`${unit}-hard`) };
}

function parseState(fields: Fields, key: string): Buffer | undefined {
  return fields.has(key) ? Buffer.from(fields.binary(key, MAX_STATE_BYTES)) : undefined;
}
