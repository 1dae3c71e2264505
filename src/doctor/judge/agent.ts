import { fail, type Finding, ok, skipped, warn } from '../finding.ts';

export interface AgentFacts {
  readonly role: 'route' | 'target';
  readonly socket: string;
  /** The command line of this very check's configuration. */
  readonly configFile: string;
  readonly version: string;
  readonly running:
    | { readonly version: string; readonly role: string; readonly host: string }
    | { readonly absent: string };
  /** Undefined: no systemd here. */
  readonly unit: UnitFacts | undefined;
}

export interface UnitFacts {
  readonly name: string;
  /** As `systemctl show` has them: `loaded`, `not-found` ...; `active`, `failed` ... */
  readonly load: string;
  readonly active: string;
  readonly result: string;
}

export function judgeAgent(facts: AgentFacts): Finding[] {
  return [judgeRunning(facts), judgeUnit(facts)];
}

function judgeRunning({ role, socket, configFile, version, running }: AgentFacts): Finding {
  if ('absent' in running)
    return warn('agent', running.absent, `start it: dvipa ${role} -c ${configFile}`, socket);
  if (running.role !== role) {
    const found = `an agent of role ${running.role} answers there, and the configuration is of role ${role}`;
    return fail('agent', found, 'give each agent a socket of its own: admin: { socket: PATH }', socket);
  }
  const found = `${running.role} agent of ${running.host}, version ${running.version}`;
  if (running.version === version) return ok('agent', found, socket);
  return warn('agent', `${found}; this is version ${version}`, 'restart the agent', socket);
}

function judgeUnit({ unit }: AgentFacts): Finding {
  if (unit === undefined) return skipped('unit', 'systemd does not run here');
  const { name, load, active, result } = unit;
  if (load === 'not-found') return skipped('unit', 'there is no such unit', name);
  if (active === 'active') return ok('unit', 'active', name);
  if (active === 'failed')
    return fail('unit', `failed: ${result}`, `see why: journalctl -u ${name} -n 50`, name);
  return warn('unit', active, `start it: systemctl start ${name}`, name);
}
