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
#include "kernel_dvipa_delegate.h"
#include "kernel_dvipa_ipsec.h"
#include "kernel_dvipa_kernel.h"
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

/**
 * Create the backend for DVIPAs, and beside the kernel's own what puts the two
 * together
 */
static kernel_ipsec_t *create_backend()
{
	kernel_dvipa_delegate_t *delegate;
	kernel_dvipa_ipsec_t *dvipa;
	kernel_ipsec_t *kernel;

	kernel = kernel_dvipa_kernel_create();
	dvipa = kernel_dvipa_ipsec_create(kernel != NULL);
	if (!dvipa)
	{
		DESTROY_IF(kernel);
		return NULL;
	}
	if (!kernel)
	{
		return &dvipa->interface;
	}
	delegate = kernel_dvipa_delegate_create(&dvipa->interface, kernel,
											dvipa->addresses);
	return &delegate->interface;
}

METHOD(plugin_t, get_features, int,
	private_kernel_dvipa_plugin_t *this, plugin_feature_t *features[])
{
	static plugin_feature_t f[] = {
		PLUGIN_CALLBACK(kernel_ipsec_register, create_backend),
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
