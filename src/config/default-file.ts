/** Where a host's configuration is unless the command line says otherwise. */
export const DEFAULT_CONFIG_FILE = '/etc/dvipa/dvipa.yaml';
