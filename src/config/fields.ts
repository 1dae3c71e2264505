import { z } from 'zod';
import { formatAddress, type IpAddress, isIpv4, isUnicastAddress, parseAddress } from '../packet/address.ts';
import { IP_PROTOCOL } from '../packet/protocols.ts';
import { inputOf } from './option.ts';

/**
 * The kinds of values in our files. Every message says what was expected; what was found, and where,
 * is added by `check.ts`.
 */

const EXPECTED_KEYS = 'expected one of ';

/** The keys that `object` names in its complaint about an unknown one. */
export function keysOf(message: string): string[] {
  return message.slice(EXPECTED_KEYS.length).split(', ');
}

/** A mapping with exactly these keys. An unknown key is reported with the ones that exist. */
export function object<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ');
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys' ? `${EXPECTED_KEYS}${known}` : `expected a mapping with ${known}`,
  });
}

export function list<Item extends z.ZodType>(item: Item, what: string, max: number) {
  const error = `expected a list of 1 to ${max} ${what}`;
  return z.array(item, { error }).min(1, { error }).max(max, { error });
}

function text(pattern: RegExp, maxLength: number, what: string) {
  const error = `expected ${what}`;
  return z.string({ error }).max(maxLength, { error }).regex(pattern, { error });
}

export function oneOf<const Choice extends readonly [string, ...string[]]>(...choices: Choice) {
  return z.enum(choices, {
    error: choices.length === 1 ? `expected ${choices[0]}` : `expected one of ${choices.join(', ')}`,
  });
}

export function integer(min: number, max: number, what: string) {
  const error = `expected ${what} from ${min} to ${max}`;
  const kind = `${what} from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error }).meta({ kind });
}

export const flag = z.boolean({ error: 'expected true or false' });

/** Name of a cluster host, as in its certificate. */
export const hostName = text(
  /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/,
  253,
  'a host name (letters a-z, digits, hyphens)',
).meta({ kind: 'host name' });

/** IFNAMSIZ is 16 with the final zero. */
export const interfaceName = text(
  /^(?!\.{1,2}$)[A-Za-z0-9_.:@-]+$/,
  15,
  'the name of a network interface (at most 15 characters)',
).meta({ kind: 'interface name' });

/** Taken from the folder of the configuration file if relative; no control characters. */
export const filePath = text(/^[^\p{Cc}]+$/u, 4096, 'the path of a file').meta({ kind: 'path' });

/** `sun_path` holds 108 bytes with the final zero. */
export const socketPath = text(
  /^\/[^\p{Cc}]+$/u,
  107,
  'the absolute path of a socket (at most 107 bytes)',
).meta({ kind: 'absolute path' });

export const port = integer(1, 65535, 'a port');

const HOST_ADDRESS = 'the address of one host, IPv4 or IPv6';

/** The unicast address of a host in its one canonical spelling (IPv6: RFC 5952), of more than one link, without zone. */
export const hostAddress = z
  .string({ error: `expected ${HOST_ADDRESS}` })
  .superRefine((value, context) => refuseSpelling(value, HOST_ADDRESS, context))
  .meta({ kind: 'address', anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] });

const CLUSTER_ADDRESS = 'the IPv4 address of one host (the cluster network is IPv4)';

/** An address on the cluster network, which is of one family. */
export const clusterAddress = z
  .string({ error: `expected ${CLUSTER_ADDRESS}` })
  .refine((value) => !value.includes(':'), { error: `expected ${CLUSTER_ADDRESS}`, abort: true })
  .superRefine((value, context) => refuseSpelling(value, CLUSTER_ADDRESS, context))
  .meta({ kind: 'IPv4 address', format: 'ipv4' });

/** The family of an address or a network that has been checked. */
export function familyOfText(text: string): 'IPv4' | 'IPv6' {
  return text.includes(':') ? 'IPv6' : 'IPv4';
}

function refuseSpelling(value: string, what: string, context: z.core.$RefinementCtx): void {
  const error = (message: string) => context.addIssue({ code: 'custom', message });
  const address = parseAddress(value);
  if (address === undefined || !isUnicastAddress(address)) error(`expected ${what}`);
  else if (formatAddress(address) !== value)
    error(`expected its canonical spelling: ${formatAddress(address)}`);
}

const networkText = z
  .string({ error: 'expected a network' })
  .meta({ pattern: '^[0-9a-f:.]+(/[0-9]{1,3})?$' });

/** `address/length` without bits right of the prefix, canonical; a lone address is /32 or /128. */
export const network = networkText.meta({ kind: 'network' }).transform((value, context) => {
  const error = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  const [text = '', lengthText, ...rest] = value.split('/');
  const address = parseAddress(text);
  const wholeLength = address === undefined || isIpv4(address) ? 32 : 128;
  const length = Number(lengthText ?? wholeLength);
  const isLength = lengthText === undefined || (/^(0|[1-9]\d*)$/.test(lengthText) && length <= wholeLength);
  if (address === undefined || !isLength || rest.length > 0) {
    return error('expected a network such as 10.1.0.0/16 or 2001:db8::/32');
  }
  const first = formatAddress(firstOfNetwork(address, length));
  if (first !== formatAddress(address))
    return error(`expected a network without host bits: ${first}/${length}`);
  return first === text ? `${first}/${length}` : error(`expected its canonical spelling: ${first}/${length}`);
});

/** The address with the bits behind the prefix cleared. */
function firstOfNetwork(address: IpAddress, length: number): IpAddress {
  const bits = isIpv4(address) ? 96 + length : length;
  return address.map((word, i) => {
    const kept = Math.min(Math.max(bits - 32 * i, 0), 32);
    return kept === 0 ? 0 : (word & (0xffff_ffff << (32 - kept))) >>> 0;
  });
}

/** One value, or a list of 1 to `max` of them. The output is as in the file. */
export function oneOrMore(item: z.ZodType<string>, what: string, max: number) {
  const several = list(item, what, max);
  const transformed = z.unknown().transform((value, context): string | string[] => {
    const result = (Array.isArray(value) ? several : item).safeParse(value);
    if (result.success) return result.data;
    for (const { path, message } of result.error.issues) context.addIssue({ code: 'custom', path, message });
    return z.NEVER;
  });
  return transformed.meta({
    kind: `${item.meta()?.kind ?? 'one'}, or list of 1 to ${max}`,
    anyOf: [inputOf(item), inputOf(several)],
  });
}

const NAMED_PROTOCOLS = ['tcp', 'udp', 'icmp', 'icmpv6', 'any'] as const;
const NUMBERS_OF_NAMES = new Map<number, string>([
  [IP_PROTOCOL.ICMP, 'icmp'],
  [IP_PROTOCOL.TCP, 'tcp'],
  [IP_PROTOCOL.UDP, 'udp'],
  [IP_PROTOCOL.ICMPV6, 'icmpv6'],
]);

const RULE_PROTOCOL = {
  error: `expected one of ${NAMED_PROTOCOLS.join(', ')}, or the number of another protocol from 1 to 255`,
};
/** A protocol above IP: its name, or the number of one that has no name here. 0 is none: it stands for any elsewhere. */
export const ruleProtocol = z
  .union([z.enum(NAMED_PROTOCOLS), z.int().min(1, RULE_PROTOCOL).max(255, RULE_PROTOCOL)], RULE_PROTOCOL)
  .superRefine((protocol, context) => {
    const name = typeof protocol === 'number' ? NUMBERS_OF_NAMES.get(protocol) : undefined;
    if (name !== undefined) context.addIssue({ code: 'custom', message: `expected its name: ${name}` });
  })
  .meta({
    kind: `${NAMED_PROTOCOLS.map((name) => `\`${name}\``).join(', ')}, or a number from 1 to 255`,
    not: { enum: [...NUMBERS_OF_NAMES.keys()] },
  });

/** Inclusive. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** `80`, `"80"` or `"1024-65535"`. */
export const portRange = z
  .union([z.string(), z.number()], { error: 'expected a port or a range such as 1024-65535' })
  .transform((value, context): PortRange => {
    const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(String(value));
    const from = Number(match?.[1]);
    const to = Number(match?.[2] ?? match?.[1]);
    if (match === null || from > to || to > 65535) {
      context.addIssue({ code: 'custom', message: 'expected a port or a range such as 1024-65535' });
      return z.NEVER;
    }
    return { from, to };
  })
  .meta({
    kind: 'port, or range such as `1024-65535`',
    anyOf: [
      { type: 'integer', minimum: 0, maximum: 65_535 },
      { type: 'string', pattern: '^[0-9]{1,5}(-[0-9]{1,5})?$' },
    ],
  });
