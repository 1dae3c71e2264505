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
 * @defgroup kernel_dvipa_mobike kernel_dvipa_mobike
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_MOBIKE_H_
#define KERNEL_DVIPA_MOBIKE_H_

#include <bus/listeners/listener.h>

#include "kernel_dvipa_addresses.h"

typedef struct kernel_dvipa_mobike_t kernel_dvipa_mobike_t;

/**
 * Keeps back addresses that MOBIKE (RFC 4555) would tell to peers, but where
 * nobody could serve them: charon names all addresses of this host, and a peer
 * may move to any of them.
 */
struct kernel_dvipa_mobike_t {

	/**
	 * Implements listener_t, to be registered with the bus.
	 */
	listener_t listener;

	/**
	 * Destroy a kernel_dvipa_mobike_t.
	 */
	void (*destroy)(kernel_dvipa_mobike_t *this);
};

/**
 * Create a kernel_dvipa_mobike_t.
 *
 * @param addresses		configured addresses
 */
kernel_dvipa_mobike_t *kernel_dvipa_mobike_create(
										kernel_dvipa_addresses_t *addresses);

#endif /** KERNEL_DVIPA_MOBIKE_H_ @}*/
