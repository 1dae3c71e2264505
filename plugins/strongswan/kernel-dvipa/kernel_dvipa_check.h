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
 * @defgroup kernel_dvipa_check kernel_dvipa_check
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_CHECK_H_
#define KERNEL_DVIPA_CHECK_H_

#include <kernel/kernel_ipsec.h>

#include "kernel_dvipa_addresses.h"

/**
 * Decide whether the data plane can serve an SA.
 *
 * @param addresses		configured addresses
 * @param id			charon's data
 * @param data			charon's data
 * @param dvipa			set to the DVIPA it serves (cloned), if it can
 * @return				NULL if it can, else why not, for the log
 */
const char *kernel_dvipa_check_sa(kernel_dvipa_addresses_t *addresses,
								  kernel_ipsec_sa_id_t *id,
								  kernel_ipsec_add_sa_t *data, host_t **dvipa);

/**
 * Decide whether the data plane can serve new outer addresses of an SA.
 *
 * @param addresses		configured addresses
 * @param id			charon's data, with the old addresses
 * @param inbound		direction of the SA
 * @param mode			mode of the SA
 * @param data			charon's data
 * @return				NULL if it can, else why not, for the log
 */
const char *kernel_dvipa_check_update(kernel_dvipa_addresses_t *addresses,
									  kernel_ipsec_sa_id_t *id, bool inbound,
									  ipsec_mode_t mode,
									  kernel_ipsec_update_sa_t *data);

/**
 * Decide whether the data plane can serve a policy.
 *
 * @param addresses		configured addresses
 * @param id			charon's data
 * @param data			charon's data
 * @param keep			set to FALSE if the policy may be forgotten: what it
 *						asks for is what happens without it
 * @return				NULL if it can, else why not, for the log
 */
const char *kernel_dvipa_check_policy(kernel_dvipa_addresses_t *addresses,
									  kernel_ipsec_policy_id_t *id,
									  kernel_ipsec_manage_policy_t *data,
									  bool *keep);

#endif /** KERNEL_DVIPA_CHECK_H_ @}*/
