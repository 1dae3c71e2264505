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
 * @defgroup kernel_dvipa_addresses kernel_dvipa_addresses
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_ADDRESSES_H_
#define KERNEL_DVIPA_ADDRESSES_H_

#include <networking/host.h>
#include <selectors/traffic_selector.h>

#include "kernel_dvipa_writer.h"

typedef struct kernel_dvipa_addresses_t kernel_dvipa_addresses_t;

/**
 * Largest state the agent may keep, per SA and per DVIPA, in bytes.
 */
#define KERNEL_DVIPA_MAX_STATE 1024

/**
 * The configured DVIPAs and tunnel endpoints, and the agent's state per DVIPA.
 * Safe to use from any thread.
 */
struct kernel_dvipa_addresses_t {

	/**
	 * Check if an address may be our side of a tunnel: an endpoint or a DVIPA.
	 *
	 * @param host		address, its port is not looked at
	 * @return			TRUE if it may
	 */
	bool (*is_endpoint)(kernel_dvipa_addresses_t *this, host_t *host);

	/**
	 * Find the one DVIPA that a traffic selector consists of.
	 *
	 * @param ts		traffic selector, its protocol and ports are not looked at
	 * @return			DVIPA (cloned), NULL if ts is anything else
	 */
	host_t *(*find_dvipa)(kernel_dvipa_addresses_t *this,
						  traffic_selector_t *ts);

	/**
	 * Check if a traffic selector has any DVIPA in it.
	 *
	 * @param ts		traffic selector, its protocol and ports are not looked at
	 * @return			TRUE if it has
	 */
	bool (*touches_dvipa)(kernel_dvipa_addresses_t *this,
						  traffic_selector_t *ts);

	/**
	 * Keep the agent's state of a DVIPA, in place of what was kept before.
	 *
	 * @param dvipa		DVIPA as text
	 * @param state		state, gets cloned
	 * @return			FALSE if there is no such DVIPA
	 */
	bool (*put_state)(kernel_dvipa_addresses_t *this, const char *dvipa,
					  chunk_t state);

	/**
	 * Write the lists "dvipas" and "endpoints" and the section "state".
	 *
	 * @param writer	writer, in the middle of a message
	 */
	void (*encode)(kernel_dvipa_addresses_t *this,
				   kernel_dvipa_writer_t *writer);

	/**
	 * Read the settings again. Kept state of a DVIPA that stays is kept.
	 *
	 * @return			FALSE if they were wrong, nothing is changed then
	 */
	bool (*reload)(kernel_dvipa_addresses_t *this);

	/**
	 * Destroy a kernel_dvipa_addresses_t.
	 */
	void (*destroy)(kernel_dvipa_addresses_t *this);
};

/**
 * Create an address from text, as settings and commands name it.
 *
 * @param text			IPv4 or IPv6 address
 * @param port			port
 * @return				NULL if it is none that a host could have: neither
 *						unspecified nor an IPv4 address in the form of an IPv6
 *						one
 */
host_t *kernel_dvipa_address(const char *text, uint16_t port);

/**
 * Create a kernel_dvipa_addresses_t from the plugin's settings.
 *
 * @return				NULL if they are wrong, which is logged
 */
kernel_dvipa_addresses_t *kernel_dvipa_addresses_create();

#endif /** KERNEL_DVIPA_ADDRESSES_H_ @}*/
