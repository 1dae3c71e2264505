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

#include "kernel_dvipa_kernel.h"
#include "kernel_dvipa_version.h"

#include <kernel/kernel_interface.h>

#include <dlfcn.h>
#include <limits.h>

/**
 * Find the constructor of kernel-netlink's backend. A plugin that charon does
 * not load is not loaded here: load = no is a decision. All plugins are in
 * memory before the first feature of one is created.
 */
static kernel_ipsec_constructor_t find_constructor()
{
	kernel_ipsec_constructor_t create = NULL;
	char path[PATH_MAX];
	void *handle;

	if (kernel_dvipa_version_plugin("kernel-netlink", path, sizeof(path)))
	{
		/* stays open: charon unloads plugins of which it uses nothing */
		handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
		if (handle)
		{
			create = dlsym(handle, "kernel_netlink_ipsec_create");
		}
	}
	return create;
}

/*
 * see header file
 */
kernel_ipsec_t *kernel_dvipa_kernel_create()
{
	kernel_ipsec_constructor_t create;
	kernel_ipsec_t *kernel = NULL;
	const char *missing = NULL;

	if (!lib->settings->get_bool(lib->settings,
							"%s.plugins.kernel-dvipa.delegate", TRUE, lib->ns))
	{
		missing = "delegate = no";
	}
	else
	{
		create = find_constructor();
		kernel = create ? create() : NULL;
		if (!kernel)
		{
			missing = create ? "this kernel has no IPsec (XFRM)" :
							   "the plugin kernel-netlink is not loaded";
		}
	}
	if (missing)
	{
		DBG1(DBG_KNL, "kernel-dvipa: what concerns no DVIPA will be refused: %s",
			 missing);
	}
	return kernel;
}
