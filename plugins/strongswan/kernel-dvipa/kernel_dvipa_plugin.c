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

#include "kernel_dvipa_plugin.h"
#include "kernel_dvipa_ipsec.h"
#include "kernel_dvipa_version.h"

typedef struct private_kernel_dvipa_plugin_t private_kernel_dvipa_plugin_t;

/**
 * Version of strongSwan this was built for; checked by strongSwan since 6.0.3
 */
const char *kernel_dvipa_plugin_version
						__attribute__((visibility("default"))) = VERSION;

/**
 * Private data of a kernel_dvipa_plugin_t.
 */
struct private_kernel_dvipa_plugin_t {

	/**
	 * Public interface.
	 */
	kernel_dvipa_plugin_t public;
};

METHOD(plugin_t, get_name, char*,
	private_kernel_dvipa_plugin_t *this)
{
	return "kernel-dvipa";
}

METHOD(plugin_t, get_features, int,
	private_kernel_dvipa_plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t f[] = {
		PLUGIN_CALLBACK(kernel_ipsec_register, kernel_dvipa_ipsec_create),
			PLUGIN_PROVIDE(CUSTOM, "kernel-ipsec"),
				PLUGIN_DEPENDS(RNG, RNG_WEAK),
	};
	*features = f;
	return countof(f);
}

METHOD(plugin_t, reload, bool,
	private_kernel_dvipa_plugin_t *this)
{
	return kernel_dvipa_ipsec_reload();
}

METHOD(plugin_t, destroy, void,
	private_kernel_dvipa_plugin_t *this)
{
	free(this);
}

/*
 * see header file
 */
__attribute__((visibility("default")))
plugin_t *kernel_dvipa_plugin_create()
{
	private_kernel_dvipa_plugin_t *this;
	char version[KERNEL_DVIPA_VERSION_LEN];

	if (!kernel_dvipa_version_running(version))
	{
		DBG1(DBG_LIB, "kernel-dvipa: can't find out what version of "
			 "strongSwan this is, it needs %s", kernel_dvipa_plugin_version);
		return NULL;
	}
	if (!streq(version, kernel_dvipa_plugin_version))
	{
		DBG1(DBG_LIB, "kernel-dvipa: built for strongSwan %s, but this is %s",
			 kernel_dvipa_plugin_version, version);
		return NULL;
	}

	INIT(this,
		.public = {
			.plugin = {
				.get_name = _get_name,
				.get_features = _get_features,
				.reload = _reload,
				.destroy = _destroy,
			},
		},
	);
	return &this->public.plugin;
}
