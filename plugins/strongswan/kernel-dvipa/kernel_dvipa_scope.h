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
 * @defgroup kernel_dvipa_scope kernel_dvipa_scope
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_SCOPE_H_
#define KERNEL_DVIPA_SCOPE_H_

#include <kernel/kernel_ipsec.h>

#include "kernel_dvipa_addresses.h"

typedef enum kernel_dvipa_scope_t kernel_dvipa_scope_t;

/**
 * Whose an SA or a policy is.
 */
enum kernel_dvipa_scope_t {
	/** it has a DVIPA on our side, all of it or not: never the kernel's */
	SCOPE_DVIPA,
	/** it concerns no DVIPA and no endpoint: the kernel's */
	SCOPE_KERNEL,
	/** nobody's: neither may have it */
	SCOPE_NOBODY,
};

/**
 * Find out whose an SA is.
 *
 * @param addresses		configured addresses
 * @param id			charon's data
 * @param data			charon's data
 * @param reason		set to why it is nobody's, for the log
 */
kernel_dvipa_scope_t kernel_dvipa_scope_sa(kernel_dvipa_addresses_t *addresses,
										   kernel_ipsec_sa_id_t *id,
										   kernel_ipsec_add_sa_t *data,
										   const char **reason);

/**
 * Find out whose a policy is.
 *
 * @param addresses		configured addresses
 * @param id			charon's data
 * @param data			charon's data
 * @param reason		set to why it is nobody's, for the log
 */
kernel_dvipa_scope_t kernel_dvipa_scope_policy(
										kernel_dvipa_addresses_t *addresses,
										kernel_ipsec_policy_id_t *id,
										kernel_ipsec_manage_policy_t *data,
										const char **reason);

/**
 * Find out whether the outer addresses of an SA leave it to the kernel.
 *
 * @param addresses		configured addresses
 * @param src			outer source
 * @param dst			outer destination
 * @return				NULL if they do, else why not, for the log
 */
const char *kernel_dvipa_scope_hosts(kernel_dvipa_addresses_t *addresses,
									 host_t *src, host_t *dst);

#endif /** KERNEL_DVIPA_SCOPE_H_ @}*/
