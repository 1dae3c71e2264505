import type { Command } from 'commander';
import { agentCommand } from './start-agent.ts';

export function targetCommand(): Command {
  return agentCommand('target', 'run the agent of a target', async () => {
    // @ts-ignore -- until the agents are composed
    return (await import('../agents/target-agent.ts')).startTargetAgent;
  });
}
