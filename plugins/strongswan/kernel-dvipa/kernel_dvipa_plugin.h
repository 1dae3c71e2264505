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
 * @defgroup kernel_dvipa kernel_dvipa
 * @ingroup cplugins
 *
 * @defgroup kernel_dvipa_plugin kernel_dvipa_plugin
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_PLUGIN_H_
#define KERNEL_DVIPA_PLUGIN_H_

#include <library.h>
#include <plugins/plugin.h>

typedef struct kernel_dvipa_plugin_t kernel_dvipa_plugin_t;

/**
 * IPsec backend for a cluster of hosts behind one Dynamic Virtual IP address.
 */
struct kernel_dvipa_plugin_t {

	/**
	 * Implements plugin interface.
	 */
	plugin_t plugin;
};

#endif /** KERNEL_DVIPA_PLUGIN_H_ @}*/
