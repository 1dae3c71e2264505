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
 * @defgroup kernel_dvipa_socket kernel_dvipa_socket
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_SOCKET_H_
#define KERNEL_DVIPA_SOCKET_H_

#include <library.h>

/**
 * Listen on a Unix socket that only charon's user may open. A socket that was
 * left there is replaced.
 *
 * @param uri			unix:// and a path
 * @return				socket, non-blocking; -1 on failure, which is logged
 */
int kernel_dvipa_socket_open(const char *uri);

/**
 * Accept a client.
 *
 * @param fd			listening socket
 * @return				socket, non-blocking; -1 on failure
 */
int kernel_dvipa_socket_accept(int fd);

/**
 * Close a socket and remove it.
 *
 * @param fd			listening socket
 * @param uri			where it listens
 */
void kernel_dvipa_socket_close(int fd, const char *uri);

#endif /** KERNEL_DVIPA_SOCKET_H_ @}*/
