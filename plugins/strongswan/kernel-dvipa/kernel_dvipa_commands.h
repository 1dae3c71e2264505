/*
 * Copyright (C) 2026 the strongswan-dvipa authors
 *
 * This program is free software; you can redistribute it and/or modify it
 * under the terms of the GNU General Public License as published by the
 * Free Software Foundation; either version 2 of the License, or (at your
 * option) any later version.  See <http://www.fsf.org/copyleft/gpl.txt>.
 *
 * This program is distributed in the hope that it will be useful, but
 * WITHOUT ANY WARRANTY; without even the implied warranty of MERCHANTABILITY
 * or FITNESS FOR A PARTICULAR PURPOSE.  See the GNU General Public License
 * for more details.
 */

/**
 * @defgroup kernel_dvipa_commands kernel_dvipa_commands
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_COMMANDS_H_
#define KERNEL_DVIPA_COMMANDS_H_

#include "kernel_dvipa_addresses.h"
#include "kernel_dvipa_sad.h"
#include "kernel_dvipa_spd.h"

typedef struct kernel_dvipa_commands_t kernel_dvipa_commands_t;

/**
 * What the commands work on, and what they tell charon.
 */
struct kernel_dvipa_commands_t {

	/** parts of the plugin, not owned */
	kernel_dvipa_addresses_t *addresses;
	kernel_dvipa_journal_t *journal;
	kernel_dvipa_sad_t *sad;
	kernel_dvipa_spd_t *spd;

	/** version of the running strongSwan */
	const char *daemon_version;

	/** what concerns no DVIPA goes to the kernel's own backend */
	bool delegates;

	/** tells charon that an SA reached a limit */
	kernel_dvipa_expire_t expire;

	/**
	 * Tells charon that a peer has moved.
	 *
	 * @param user		user below
	 * @param spi		SPI, in network order
	 * @param dst		outer destination of the SA
	 * @param remote	where the peer is now, with port
	 */
	void (*mapping)(void *user, uint32_t spi, host_t *dst, host_t *remote);

	/**
	 * Tells charon that a packet waits for an SA.
	 *
	 * @param user		user below
	 * @param reqid		of the trap
	 * @param src_ts	of the packet, or of the trap; not owned
	 * @param dst_ts	the same
	 */
	void (*acquire)(void *user, uint32_t reqid, traffic_selector_t *src_ts,
					traffic_selector_t *dst_ts);

	/** first argument of all of them */
	void *user;
};

/**
 * Run a command of the agent. Every one but "version" and "list" answers with
 * success, and errmsg if that is no. The plugin's README.md is its reference.
 *
 * @param this			what it works on
 * @param command		name of the command
 * @param message		its message, of valid form
 * @param writer		gets the answer's packets
 * @param listed		TRUE if the client takes list-sa and list-policy
 */
void kernel_dvipa_commands_run(kernel_dvipa_commands_t *this, chunk_t command,
							   chunk_t message, kernel_dvipa_writer_t *writer,
							   bool listed);

#endif /** KERNEL_DVIPA_COMMANDS_H_ @}*/
