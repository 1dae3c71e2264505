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
 * @defgroup kernel_dvipa_kernel kernel_dvipa_kernel
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_KERNEL_H_
#define KERNEL_DVIPA_KERNEL_H_

#include <kernel/kernel_ipsec.h>

/**
 * Create the kernel's own backend, that of the plugin kernel-netlink, if it
 * is loaded and works here. Why there is none is logged in one line.
 *
 * @return				NULL if there is none
 */
kernel_ipsec_t *kernel_dvipa_kernel_create();

#endif /** KERNEL_DVIPA_KERNEL_H_ @}*/
