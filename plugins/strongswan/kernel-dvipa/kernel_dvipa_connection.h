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
 * @defgroup kernel_dvipa_connection kernel_dvipa_connection
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_CONNECTION_H_
#define KERNEL_DVIPA_CONNECTION_H_

#include "kernel_dvipa_writer.h"

typedef struct kernel_dvipa_connection_t kernel_dvipa_connection_t;

/**
 * Largest packet taken from a client, as in the VICI protocol.
 */
#define KERNEL_DVIPA_MAX_PACKET (512 * 1024)

/**
 * Largest amount of events that wait for a client. One that is slower is
 * disconnected, it has to list again.
 */
#define KERNEL_DVIPA_MAX_BACKLOG (4 * 1024 * 1024)

/**
 * Handles a packet from a client.
 *
 * @param user			what was given along
 * @param conn			connection it came from
 * @param packet		packet without its length, not empty
 * @return				FALSE to end the connection
 */
typedef bool (*kernel_dvipa_packet_cb_t)(void *user,
										 kernel_dvipa_connection_t *conn,
										 chunk_t packet);

/**
 * A client: its socket, what it subscribed to, and what waits in both
 * directions. Never blocks. Not safe to use from several threads at a time.
 */
struct kernel_dvipa_connection_t {

	/**
	 * Get the socket.
	 */
	int (*get_fd)(kernel_dvipa_connection_t *this);

	/**
	 * Get what to poll the socket for. While an answer waits nothing more is
	 * read, so a client that does not read can't make us keep answers.
	 */
	short (*get_events)(kernel_dvipa_connection_t *this);

	/**
	 * Read what is there, as much as is good at a time.
	 *
	 * @param cb		gets complete packets
	 * @param user		its first argument
	 * @return			FALSE if the connection has ended, or has to
	 */
	bool (*receive)(kernel_dvipa_connection_t *this,
					kernel_dvipa_packet_cb_t cb, void *user);

	/**
	 * Send what waits, as far as possible.
	 *
	 * @return			FALSE if the connection has ended
	 */
	bool (*send)(kernel_dvipa_connection_t *this);

	/**
	 * Let packets wait to be sent.
	 *
	 * @param packets	packets, get owned and wiped
	 * @param answer	TRUE for an answer, of which only one waits
	 * @return			FALSE if too much waits
	 */
	bool (*queue)(kernel_dvipa_connection_t *this, chunk_t packets,
				  bool answer);

	/**
	 * Get the events subscribed to, as bits; the meaning is the caller's.
	 */
	u_int (*get_subscriptions)(kernel_dvipa_connection_t *this);

	/**
	 * Set the events subscribed to.
	 */
	void (*set_subscriptions)(kernel_dvipa_connection_t *this, u_int bits);

	/**
	 * Destroy a kernel_dvipa_connection_t, closing its socket and wiping what
	 * waits.
	 */
	void (*destroy)(kernel_dvipa_connection_t *this);
};

/**
 * Create a kernel_dvipa_connection_t.
 *
 * @param fd			socket, non-blocking, gets owned
 */
kernel_dvipa_connection_t *kernel_dvipa_connection_create(int fd);

#endif /** KERNEL_DVIPA_CONNECTION_H_ @}*/
