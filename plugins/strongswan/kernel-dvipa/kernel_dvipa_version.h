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
 * @defgroup kernel_dvipa_version kernel_dvipa_version
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_VERSION_H_
#define KERNEL_DVIPA_VERSION_H_

#include <library.h>

/**
 * Longest text of a version, with its NUL.
 */
#define KERNEL_DVIPA_VERSION_LEN 32

/**
 * Find a version of strongSwan in bytes of a program that was built with it:
 * a string of its own, such as 5.9.8 or 6.0.0rc1.
 *
 * @param data			bytes of the program
 * @param version		gets the version
 * @return				FALSE if there is none
 */
bool kernel_dvipa_version_find(chunk_t data,
							   char version[KERNEL_DVIPA_VERSION_LEN]);

/**
 * Find out the version of the running strongSwan.
 *
 * Until 6.0.3 strongSwan doesn't check what version a plugin was built for,
 * and there is no function that tells its own. A plugin built for another one
 * reads the fields of add_sa wrong, keys included, and silently. So look into
 * the program itself, and into its vici plugin, which both carry it; if they
 * differ, the installation is mixed up.
 *
 * @param version		gets the version
 * @return				FALSE if it can't be found out, or if it is not one
 */
bool kernel_dvipa_version_running(char version[KERNEL_DVIPA_VERSION_LEN]);

/**
 * Get the path of a plugin that belongs to the running libstrongswan.
 *
 * @param plugin		name of the plugin
 * @param path			gets the path
 * @param len			size of path
 * @return				FALSE if it can't be found out, or is too long
 */
bool kernel_dvipa_version_plugin(const char *plugin, char *path, size_t len);

#endif /** KERNEL_DVIPA_VERSION_H_ @}*/
