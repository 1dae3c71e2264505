import { z } from 'zod';
import { formatSpi } from '../../ipsec/sa.ts';
import type { RekeySnapshot } from '../../observe/operator-snapshots.ts';
import { type GivenArguments, parseArguments } from '../admin-arguments.ts';
import type { Rekeyer } from './rekeyer.ts';
import type { AnySa, RoutingSas } from './routing-sas.ts';

/** charon has so long to take the requests; what it has not taken by then goes on by itself. */
const ANSWER_MS = 5000;

const name = z.string().min(1).max(255);

const schema = z
  .strictObject({
    /** SPI of either direction, as the lists show it. */
    sa: z
      .string()
      .regex(/^[0-9a-f]{8}$/i, 'expected an SPI of 8 hex digits')
      .transform((spi) => spi.toLowerCase())
      .optional(),
    ike: name.optional(),
    child: name.optional(),
    all: z.literal(true).optional(),
  })
  .refine(
    ({ sa, ike, child, all }) => [sa, ike ?? child, all].filter((one) => one !== undefined).length === 1,
    'expected one of sa, all, or ike and child',
  );

export interface RekeyParts {
  readonly host: { readonly sas: RoutingSas };
  readonly rekeyer: Rekeyer;
  readonly charon: { readonly isConnected: boolean };
  /** Resolves after so long. */
  readonly pause: (delayMs: number) => Promise<void>;
}

/** The admin command `rekey`. Throws an Error if there is no such SA. */
export async function rekeyCommand(parts: RekeyParts, given: GivenArguments): Promise<RekeySnapshot> {
  const { rekeyer, charon, host, pause } = parts;
  const wanted = parseArguments(schema, given);
  if (!charon.isConnected) throw new Error('charon is not connected');
  const chosen = [...host.sas.all()].filter((entry) => isChosen(entry, wanted, rekeyer));
  if (chosen.length === 0) throw new Error('no SA in use is meant by that (dvipa sas)');
  const outcomes = new Map<AnySa, 'taken' | 'refused'>();
  const answered = chosen.map(async (entry) => {
    rekeyer.request(entry, 'operator');
    outcomes.set(entry, (await rekeyer.answered(entry)) ? 'taken' : 'refused');
  });
  await Promise.race([Promise.all(answered), pause(ANSWER_MS)]);
  return {
    asked: chosen.map((entry) => {
      const { spi, direction } = entry.sa;
      const names = rekeyer.namesOf(entry);
      const outcome = outcomes.get(entry) ?? 'waiting';
      return { spi: formatSpi(spi), direction, ikeName: names?.ike, childName: names?.child, outcome };
    }),
  };
}

/** By name: the outbound one stands for both directions, and what has a successor is not rekeyed. */
function isChosen(entry: AnySa, { sa, ike, child, all }: z.infer<typeof schema>, rekeyer: Rekeyer): boolean {
  if (sa !== undefined) return formatSpi(entry.sa.spi) === sa;
  if (entry.sa.direction !== 'out' || entry.isReplaced) return false;
  if (all) return true;
  const names = rekeyer.namesOf(entry);
  return (ike === undefined || names?.ike === ike) && (child === undefined || names?.child === child);
}
