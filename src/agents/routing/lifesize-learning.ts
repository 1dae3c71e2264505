import { createHash } from 'node:crypto';
import { CreditPercentage, type SwitchUse } from '../../ipsec/credit-percentage.ts';
import type { LifesizeMarks } from '../../ipsec/lifesize-marks.ts';
import type { LifesizeOwnerOptions } from '../../ipsec/lifesize-owner.ts';
import { formatSpi, type SecurityAssociation } from '../../ipsec/sa.ts';
import type { Log } from '../../observe/log.ts';
import type { RekeyReason } from './rekey-book.ts';
import type { Rekeyer, SaNames } from './rekeyer.ts';
import { type AnySa, FUNNEL_USER, type InboundSa, type OutboundSa, type RoutingSas } from './routing-sas.ts';
import type { DvipaService } from './dvipa-service.ts';

/** Configurations of peers that have no SA now. */
const KEPT_WITHOUT_SAS = 4096;

/** One peer under one CHILD_SA configuration, as charon names them: what an SA lives too short to learn. */
export interface LifesizeConfiguration {
  readonly names: SaNames;
  readonly credit: CreditPercentage;
  readonly sas: Set<AnySa>;
}

export interface LifesizeLearningOptions {
  readonly log: Log;
  readonly sas: RoutingSas;
  readonly rekeyer: Rekeyer;
  /** To start with. */
  readonly percentage: number;
  /** So that SAs with equal limits do not ask for their rekeys together. */
  readonly seed: Uint8Array;
}

/** Percentages and rekey times of configurations, from what becomes of their SAs (claim 18). */
export class LifesizeLearning {
  readonly #options: LifesizeLearningOptions;
  readonly #configurations = new Map<string, LifesizeConfiguration>();
  readonly #bySa = new Map<AnySa, LifesizeConfiguration>();

  /** What SAs of new configurations start with. */
  percentage: number;

  constructor(options: LifesizeLearningOptions) {
    this.#options = options;
    this.percentage = options.percentage;
  }

  /** Of a new SA: as its predecessor, whose configuration is known. */
  termsOf(
    sa: SecurityAssociation,
    service: DvipaService,
    marks: LifesizeMarks | undefined,
  ): Omit<LifesizeOwnerOptions, 'lifetime' | 'now' | 'isRestored'> {
    const { seed, sas } = this.#options;
    const [older] = sas.group(sa.group);
    const credit = older === undefined ? undefined : this.#bySa.get(older)?.credit;
    const digest = createHash('sha256').update(seed).update(sa.id).digest();
    return {
      percentage: credit?.percentage ?? this.percentage,
      ...(credit !== undefined && { rekeyMs: credit.rekeyMs }),
      users: service.targets.size + 1,
      jitter: digest.readUInt32BE(0) / 2 ** 32,
      ownUser: FUNNEL_USER,
      marks,
    };
  }

  configurationOf(entry: AnySa): LifesizeConfiguration | undefined {
    return this.#bySa.get(entry);
  }

  configurations(): IterableIterator<LifesizeConfiguration> {
    return this.#configurations.values();
  }

  /** Finds the configuration of an SA whose names were not known before. Cheap: call it about once a second. */
  assign(entry: AnySa): LifesizeConfiguration | undefined {
    const known = this.#bySa.get(entry);
    if (known !== undefined) return known;
    const names = this.#options.rekeyer.namesOf(entry);
    const configuration = names === undefined ? this.#predecessors(entry) : this.#named(names, entry);
    if (configuration === undefined) return undefined;
    this.#bySa.set(entry, configuration);
    configuration.sas.add(entry);
    entry.lifesize.learned(configuration.credit.percentage, configuration.credit.rekeyMs);
    return configuration;
  }

  removed(entry: AnySa): void {
    this.#bySa.get(entry)?.sas.delete(entry);
    this.#bySa.delete(entry);
  }

  /** charon has switched outbound from this SA to its successor, and so from the inbound one that it replaced. */
  switched(entry: OutboundSa, now: number): void {
    const pair = [entry, ...this.#replacedInbound(entry)];
    const asked = pair.flatMap(({ rekeys }) => [...rekeys]);
    const [first] = asked.toSorted(([, a], [, b]) => a.at - b.at);
    const rekeyMs = first === undefined ? undefined : now - first[1].at;
    const reason: RekeyReason = first?.[0] ?? (isOld(entry, now) ? 'time' : 'other');
    const { rekeyer, log } = this.#options;
    if (first === undefined) rekeyer.book.count(reason, 'needs');
    rekeyer.book.count(reason, 'finished');
    const configuration = this.assign(entry);
    const uses = pair.filter(({ isJudged }) => !isJudged).flatMap((one) => usesOf(one));
    for (const one of pair) one.isJudged = true;
    // Rekeyed for another reason, long before its limits: that says nothing about credit.
    const isTelling =
      uses.some(({ total, soft }) => total >= soft) || reason === 'bytes' || reason === 'packets';
    if (isTelling && uses.length > 0) configuration?.credit.switched({ uses, rekeyMs, now });
    if (isTelling && configuration !== undefined) this.#tell(configuration);
    const { bytes, packets } = entry.lifesize.totals(now);
    log.info('rekey finished', {
      event: 'rekey-finished',
      sa: entry.sa.id,
      spi: formatSpi(entry.sa.spi),
      reason,
      durationMs: rekeyMs === undefined ? undefined : Math.round(rekeyMs),
      bytes,
      packets,
      percentage: configuration?.credit.percentage,
    });
  }

  /** A hard limit has ended the SA. */
  expired(entry: AnySa, now: number): void {
    const [use] = usesOf(entry).toSorted((a, b) => b.total / b.inTimeBelow - a.total / a.inTimeBelow);
    const configuration = this.assign(entry);
    entry.isJudged = true;
    if (use === undefined || configuration === undefined) return;
    configuration.credit.hardLimitMet(use, now);
    this.#tell(configuration);
  }

  #tell({ credit, sas }: LifesizeConfiguration): void {
    for (const { lifesize } of sas) lifesize.learned(credit.percentage, credit.rekeyMs);
  }

  #predecessors(entry: AnySa): LifesizeConfiguration | undefined {
    for (const older of this.#options.sas.group(entry.sa.group)) {
      const configuration = this.#bySa.get(older);
      if (configuration !== undefined) return configuration;
    }
    return undefined;
  }

  #named(names: SaNames, entry: AnySa): LifesizeConfiguration {
    const key = JSON.stringify([names.ike, names.child, names.peer]);
    const known = this.#configurations.get(key);
    if (known !== undefined) return known;
    // What restored SAs brought from the store is what the configuration had learned; one that charon made meanwhile brought nothing.
    const learned = [...this.#options.sas.group(entry.sa.group)].findLast(
      ({ lifesize }) => lifesize.hasLearned,
    );
    const { percentage, rekeyMs } = (learned ?? entry).lifesize;
    const configuration = { names, credit: new CreditPercentage(percentage, rekeyMs), sas: new Set<AnySa>() };
    this.#configurations.set(key, configuration);
    this.#forgetOldest();
    return configuration;
  }

  #forgetOldest(): void {
    if (this.#configurations.size - this.#bySa.size <= KEPT_WITHOUT_SAS) return;
    for (const [key, { sas }] of this.#configurations) {
      if (sas.size > 0) continue;
      this.#configurations.delete(key);
      return;
    }
  }

  *#replacedInbound({ sa }: OutboundSa): IterableIterator<InboundSa> {
    for (const other of this.#options.sas.group(sa.group)) {
      if ('owners' in other && other.isReplaced && !other.isJudged) yield other;
    }
  }
}

/** Its soft limit of time is over: the plugin has told charon. */
function isOld({ sa, createdAt }: AnySa, now: number): boolean {
  const { soft } = sa.lifetime.seconds;
  return soft > 0 && now - createdAt >= soft * 1000;
}

/** Units of the SA that have a limit. */
function usesOf({ sa, lifesize }: AnySa): SwitchUse[] {
  const { direction } = sa;
  return (['bytes', 'packets'] as const).flatMap((unit) => {
    const { isLimited, charged: total, soft, hard, inTimeBelow } = lifesize[unit];
    return isLimited ? [{ direction, unit, total, soft, hard, inTimeBelow }] : [];
  });
}
