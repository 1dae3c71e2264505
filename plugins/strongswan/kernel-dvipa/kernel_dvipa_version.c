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

#define _GNU_SOURCE
#include "kernel_dvipa_version.h"

#include <dlfcn.h>
#include <limits.h>

/**
 * Read digits, then what follows them. Returns NULL if there are none.
 */
static const char *skip_number(const char *pos, const char *end)
{
	const char *start = pos;

	while (pos < end && *pos >= '0' && *pos <= '9')
	{
		pos++;
	}
	return pos > start ? pos : NULL;
}

/**
 * Check for MAJOR.MINOR.PATCH, and maybe dr or rc with a number
 */
static bool is_version(const char *pos, const char *end)
{
	int i;

	for (i = 0; i < 3; i++)
	{
		if (i > 0 && (pos >= end || *pos++ != '.'))
		{
			return FALSE;
		}
		pos = skip_number(pos, end);
		if (!pos)
		{
			return FALSE;
		}
	}
	if (end - pos > 2 && (strneq(pos, "dr", 2) || strneq(pos, "rc", 2)))
	{
		pos = skip_number(pos + 2, end);
	}
	return pos == end;
}

/*
 * see header file
 */
bool kernel_dvipa_version_find(chunk_t data,
							   char version[KERNEL_DVIPA_VERSION_LEN])
{
	const char *pos = (char*)data.ptr, *limit = pos + data.len, *end;

	while (pos < limit)
	{
		end = memchr(pos, '\0', limit - pos);
		if (!end)
		{
			break;
		}
		if (*pos >= '1' && *pos <= '9' &&
			end - pos < KERNEL_DVIPA_VERSION_LEN && is_version(pos, end))
		{
			memcpy(version, pos, end - pos + 1);
			return TRUE;
		}
		pos = end + 1;
	}
	return FALSE;
}

/**
 * Find the version that a file carries
 */
static bool find_in_file(const char *path,
						 char version[KERNEL_DVIPA_VERSION_LEN])
{
	chunk_t *data;
	bool found;

	data = chunk_map((char*)path, FALSE);
	if (!data)
	{
		return FALSE;
	}
	found = kernel_dvipa_version_find(*data, version);
	chunk_unmap(data);
	return found;
}

/*
 * see header file
 */
bool kernel_dvipa_version_plugin(const char *plugin, char *path, size_t len)
{
	Dl_info info;
	char *slash;

	if (!dladdr((void*)library_init, &info) || !info.dli_fname)
	{
		return FALSE;
	}
	slash = strrchr(info.dli_fname, '/');
	return slash && snprintf(path, len, "%.*s/plugins/libstrongswan-%s.so",
							 (int)(slash - info.dli_fname), info.dli_fname,
							 plugin) < (int)len;
}

/*
 * see header file
 */
bool kernel_dvipa_version_running(char version[KERNEL_DVIPA_VERSION_LEN])
{
	char path[PATH_MAX], other[KERNEL_DVIPA_VERSION_LEN];
	bool found;

	found = find_in_file("/proc/self/exe", version);
	if (kernel_dvipa_version_plugin("vici", path, sizeof(path)) &&
		find_in_file(path, other))
	{
		if (found && !streq(version, other))
		{
			DBG1(DBG_KNL, "kernel-dvipa: the daemon is strongSwan %s, but %s "
				 "is of %s", version, path, other);
			return FALSE;
		}
		strcpy(version, other);
		found = TRUE;
	}
	return found;
}
