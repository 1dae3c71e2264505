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
#include "kernel_dvipa_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/**
 * What an URI begins with
 */
#define SCHEME "unix://"

/**
 * Clients that may wait to be accepted
 */
#define BACKLOG 8

/**
 * Get the path of an URI, NULL if it is of another kind
 */
static const char *get_path(const char *uri)
{
	return strpfx(uri, SCHEME) ? uri + strlen(SCHEME) : NULL;
}

/**
 * Remove what was left of another charon, but nothing else than a socket
 */
static void remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
	{
		unlink(path);
	}
}

/*
 * see header file
 */
int kernel_dvipa_socket_open(const char *uri)
{
	struct sockaddr_un addr = {
		.sun_family = AF_UNIX,
	};
	const char *path;
	int fd;

	path = get_path(uri);
	if (!path || !*path || strlen(path) >= sizeof(addr.sun_path))
	{
		DBG1(DBG_KNL, "kernel-dvipa: '%s' is no Unix socket", uri);
		return -1;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
	{
		DBG1(DBG_KNL, "kernel-dvipa: no socket: %s", strerror(errno));
		return -1;
	}
	remove_stale(path);
	/* before listen() nobody can connect, so nobody is early for the mode */
	if (bind(fd, (struct sockaddr*)&addr, sizeof(addr)) < 0 ||
		chmod(path, S_IRUSR | S_IWUSR) < 0 ||
		chown(path, lib->caps->get_uid(lib->caps),
			  lib->caps->get_gid(lib->caps)) < 0 ||
		listen(fd, BACKLOG) < 0)
	{
		DBG1(DBG_KNL, "kernel-dvipa: can't listen on %s: %s", path,
			 strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * see header file
 */
int kernel_dvipa_socket_accept(int fd)
{
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/*
 * see header file
 */
void kernel_dvipa_socket_close(int fd, const char *uri)
{
	close(fd);
	remove_stale(get_path(uri));
}
