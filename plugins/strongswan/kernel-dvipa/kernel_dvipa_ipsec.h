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
 * @defgroup kernel_dvipa_ipsec kernel_dvipa_ipsec
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_IPSEC_H_
#define KERNEL_DVIPA_IPSEC_H_

#include <kernel/kernel_ipsec.h>

#include "kernel_dvipa_addresses.h"

typedef struct kernel_dvipa_ipsec_t kernel_dvipa_ipsec_t;

/**
 * Kernel backend that installs nothing: it keeps SAs and policies in tables,
 * and a routing agent has them served by other hosts.
 */
struct kernel_dvipa_ipsec_t {

	/**
	 * Implements kernel_ipsec_t.
	 */
	kernel_ipsec_t interface;

	/**
	 * Configured addresses, not owned by who reads them here.
	 */
	kernel_dvipa_addresses_t *addresses;
};

/**
 * Create a kernel_dvipa_ipsec_t from the plugin's settings.
 *
 * @param delegates		what the agent is told: whether what concerns no DVIPA
 *						goes to the kernel's own backend
 * @return				NULL on failure, which is logged
 */
kernel_dvipa_ipsec_t *kernel_dvipa_ipsec_create(bool delegates);

/**
 * Read the configured addresses again, of the instance that was created last.
 *
 * @return				FALSE if they were wrong, nothing is changed then
 */
bool kernel_dvipa_ipsec_reload();

#endif /** KERNEL_DVIPA_IPSEC_H_ @}*/
