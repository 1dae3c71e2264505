import type { Command } from 'commander';
import { agentCommand } from './start-agent.ts';

export function targetCommand(): Command {
  return agentCommand('target', 'run the agent of a target', async () => {
    return (await import('../agents/target/target-agent.ts')).startTargetAgent;
  });
}
