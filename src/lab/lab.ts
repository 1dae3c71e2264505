import { mkdirSync, rmSync } from 'node:fs';
import { type LabHostPlan, planHosts } from './addresses.ts';
import { startAgent, waitForTargets } from './agent.ts';
import { initiate, startCharon } from './charon.ts';
import { type Host, type LabProcess, NamespaceHost } from './host.ts';
import { builtPlugin, hostFolder, logsFolder, writeHostFiles, writeTemplates } from './host-files.ts';
import { IkePki } from './ike-pki.ts';
import { type HostRecord, Ledger } from './ledger.ts';
import { type Lock, takeLock } from './lock.ts';
import { buildNetworks, guestPort, namespacesOf, networkNamespace, removeNamespaces } from './network.ts';
import { type LabOptions, ledgerFolder, resolveLabOptions, type ResolvedLabOptions } from './options.ts';
import { endProcess, isRunning } from './process.ts';
import { ownProgram, PROJECT_ROOT } from './program.ts';
import { readScenario, type Scenario, type TemplateValues } from './scenario.ts';
import { issueCouplingCertificates } from './coupling-pki.ts';
import { bootGuest, waitForGuest } from './uml/guest.ts';
import { GuestHost } from './uml/guest-host.ts';

/**
 * The lab: a routing host, targets and clients as network namespaces of this machine. While a `Lab` of this process is
 * up it holds the lab's lock, so that two of them (a demo and a test run, say) take turns.
 */
export class Lab {
  readonly options: ResolvedLabOptions;
  readonly scenario: Scenario;
  readonly plan: readonly LabHostPlan[];
  readonly #hosts: ReadonlyMap<string, Host>;
  readonly #running = new Map<string, LabProcess>();
  #lock: Lock | undefined;

  private constructor(options: ResolvedLabOptions, scenario: Scenario, ledger: Ledger, lock: Lock) {
    this.options = options;
    this.scenario = scenario;
    this.plan = planHosts(options);
    this.#lock = lock;
    const logs = logsFolder(options.folder);
    const bare = (['outside', 'cluster'] as const).map(
      (network): HostRecord => ({
        name: network,
        namespace: networkNamespace(options.prefix, network),
        mounts: [],
      }),
    );
    this.#hosts = new Map(
      [...ledger.record.hosts, ...bare].map((record) => [record.name, hostOf(record, ledger, logs)]),
    );
  }

  /** Cleans up what an earlier lab left, then builds and starts a new one. */
  static async up(given: LabOptions = {}): Promise<Lab> {
    const options = resolveLabOptions(given);
    const { folder, prefix, progress } = options;
    const scenario = readScenario(PROJECT_ROOT, options.scenario);
    const lock = await takeLabLock(options);
    try {
      await cleanUp(prefix);
      for (const part of ['hosts', 'logs', 'pki'])
        rmSync(`${folder}/${part}`, { recursive: true, force: true });
      mkdirSync(logsFolder(folder), { recursive: true });
      const hosts = planHosts(options);
      const ledger = Ledger.create(ledgerFolder(prefix), {
        version: 1,
        scenario: scenario.name,
        folder,
        isUp: false,
        namespaces: namespacesOf(prefix, hosts),
        hosts: [],
        processes: [],
      });
      progress(`networks and ${hosts.length} hosts`);
      await buildNetworks(prefix, scenario, hosts, options.superPackets);
      const plugin = builtPlugin(PROJECT_ROOT);
      const pki = await IkePki.create(`${folder}/pki/ike`);
      const files = { scenario, hosts, folder, prefix, values: options.values, plugin };
      const records: HostRecord[] = [];
      for (const host of hosts) records.push(await writeHostFiles(files, host, pki));
      ledger.update({ hosts: records });
      const lab = new Lab(options, scenario, ledger, lock);
      await lab.#boot(records, ledger);
      await lab.#start();
      ledger.update({ isUp: true });
      return lab;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /** A host by name; `outside` and `cluster` are the two networks themselves (their bridges). */
  host(name: string): Host {
    const host = this.#hosts.get(name);
    if (host === undefined) throw new Error(`no host '${name}' in this lab`);
    return host;
  }

  /** Hosts of a kind, by number. */
  hostsOf(kind: LabHostPlan['kind']): Host[] {
    return this.plan.filter((host) => host.kind === kind).map(({ name }) => this.host(name));
  }

  get router(): Host {
    return this.host('router1');
  }

  /** A process the lab started: `charon`, `agent`, `http`, or the `kernel` that a guest is. */
  process(host: string, name: string): LabProcess {
    const found = this.#running.get(`${host} ${name}`);
    if (found === undefined) throw new Error(`${host}: the lab started no ${name}`);
    return found;
  }

  /** Writes a host's configuration files anew, with other values; whoever reads them must be told. */
  rewriteConfiguration(host: string, values: TemplateValues): void {
    const found = this.plan.find(({ name }) => name === host);
    if (found === undefined) throw new Error(`no host '${host}' in this lab`);
    const { folder, values: earlier } = this.options;
    const context = { scenario: this.scenario, hosts: this.plan, folder, values: { ...earlier, ...values } };
    writeTemplates(context, found);
  }

  /** `argv`: another command line for it. */
  async startCharon(host: string, argv?: readonly string[]): Promise<LabProcess> {
    return this.#keep(await startCharon(this.host(host), argv));
  }

  /** Starts the agent of a host; does not wait until it serves (see `waitForTargets`). */
  startAgent(host: string): LabProcess {
    const configFile = `${hostFolder(this.options.folder, host)}/dvipa/dvipa.yaml`;
    return this.#keep(startAgent(this.host(host), configFile, this.options.agentEnvironment));
  }

  startServer(host: string): LabProcess {
    const argv = [...ownProgram('lab/http-server'), host, this.scenario.dvipa];
    return this.#keep(this.host(host).spawn('http', argv));
  }

  /** Waits until the routing agent says that so many targets serve. */
  waitForTargets(count = this.options.targets, timeoutMs?: number): Promise<void> {
    return waitForTargets(this.router, count, timeoutMs);
  }

  /** Brings a client's tunnel up. */
  initiate(client: string): Promise<void> {
    return initiate(this.host(client));
  }

  /** Ends every process, removes the namespaces and gives the lock back. Logs and captures stay. */
  async down(): Promise<void> {
    await cleanUp(this.options.prefix);
    await this.release();
  }

  /** Gives the lock back and leaves the lab up. */
  async release(): Promise<void> {
    await this.#lock?.release();
    this.#lock = undefined;
  }

  /** Ends what an earlier lab of this prefix left; nothing to do is no fault. Returns whether there was anything. */
  static async downAny(given: LabOptions = {}): Promise<boolean> {
    const options = resolveLabOptions(given);
    const lock = await takeLabLock(options);
    try {
      return await cleanUp(options.prefix);
    } finally {
      await lock.release();
    }
  }

  /** For a program that is being interrupted: ends what it has brought up, without waiting for the lock it holds. */
  static async cleanUpNow(given: LabOptions = {}): Promise<void> {
    await cleanUp(resolveLabOptions(given).prefix);
  }

  /** Starts the guests' kernels, all at once. */
  async #boot(records: readonly HostRecord[], ledger: Ledger): Promise<void> {
    const { folder, progress } = this.options;
    const ready: Promise<void>[] = [];
    for (const record of records) {
      const { name, guest } = record;
      const plan = this.plan.find((host) => host.name === name);
      if (guest === undefined || plan === undefined) continue;
      progress(`Linux of ${name}`);
      const machine = new NamespaceHost(record, ledger, logsFolder(folder));
      const place = { lab: folder, folder: guest, tap: name, port: guestPort(plan) };
      const kernel = this.#keep(bootGuest(machine, place));
      ready.push(waitForGuest(kernel, guest));
    }
    await Promise.all(ready);
  }

  async #start(): Promise<void> {
    const { charons, agents, servers, tunnels, progress } = this.options;
    const names = (kind: LabHostPlan['kind']) => this.hostsOf(kind).map(({ name }) => name);
    if (charons) {
      progress('charon on the routing host and the clients');
      for (const name of [...names('router'), ...names('client'), ...names('kernel')])
        await this.startCharon(name);
    }
    if (agents) {
      progress('agents');
      await issueCouplingCertificates(this.options.folder, this.plan);
      for (const name of [...names('router'), ...names('target')]) this.startAgent(name);
    }
    if (servers) for (const name of names('target')) this.startServer(name);
    if (agents) await this.waitForTargets();
    if (charons && tunnels) {
      for (const name of [...names('client'), ...names('kernel')]) {
        progress(`tunnel of ${name}`);
        await this.initiate(name);
      }
    }
  }

  #keep(running: LabProcess): LabProcess {
    this.#running.set(`${running.host} ${running.name}`, running);
    return running;
  }
}

function hostOf(record: HostRecord, ledger: Ledger, logs: string): Host {
  const { name, guest } = record;
  if (guest === undefined) return new NamespaceHost(record, ledger, logs);
  const isAlive = () =>
    ledger.record.processes.some(
      (entry) => entry.host === name && entry.name === 'kernel' && isRunning(entry),
    );
  return new GuestHost(name, logs, { folder: guest, isAlive });
}

function takeLabLock({ prefix, lockTimeoutMs, progress }: ResolvedLabOptions): Promise<Lock> {
  const wait = () => progress('another lab is in use here; waiting for its end');
  return takeLock(`${ledgerFolder(prefix)}/lock`, lockTimeoutMs, wait);
}

/** Ends recorded processes (only those, and only if they are still the same) and removes recorded namespaces. */
async function cleanUp(prefix: string): Promise<boolean> {
  const ledger = Ledger.read(ledgerFolder(prefix));
  if (ledger === undefined) return false;
  const { processes, namespaces } = ledger.record;
  // Agents before charon: they take their own rules and addresses away properly.
  const rank = (name: string) => (name === 'agent' ? 0 : name === 'charon' ? 2 : 1);
  for (const step of [0, 1, 2]) {
    await Promise.all(
      processes.filter(({ name }) => rank(name) === step).map((record) => endProcess(record)),
    );
  }
  await removeNamespaces(namespaces);
  ledger.remove();
  return true;
}
