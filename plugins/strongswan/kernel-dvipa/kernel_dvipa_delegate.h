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
 * @defgroup kernel_dvipa_delegate kernel_dvipa_delegate
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_DELEGATE_H_
#define KERNEL_DVIPA_DELEGATE_H_

#include <kernel/kernel_ipsec.h>

#include "kernel_dvipa_addresses.h"

typedef struct kernel_dvipa_delegate_t kernel_dvipa_delegate_t;

/**
 * Kernel backend in front of two: one for what concerns a DVIPA, and the
 * kernel's own for all else.
 */
struct kernel_dvipa_delegate_t {

	/**
	 * Implements kernel_ipsec_t.
	 */
	kernel_ipsec_t interface;
};

/**
 * Create a kernel_dvipa_delegate_t.
 *
 * @param dvipa			backend for DVIPAs, gets owned
 * @param kernel		the kernel's own backend, gets owned
 * @param addresses		configured addresses, of dvipa
 */
kernel_dvipa_delegate_t *kernel_dvipa_delegate_create(kernel_ipsec_t *dvipa,
										kernel_ipsec_t *kernel,
										kernel_dvipa_addresses_t *addresses);

#endif /** KERNEL_DVIPA_DELEGATE_H_ @}*/
