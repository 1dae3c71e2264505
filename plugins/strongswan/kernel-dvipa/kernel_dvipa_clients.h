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
 * @defgroup kernel_dvipa_clients kernel_dvipa_clients
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_CLIENTS_H_
#define KERNEL_DVIPA_CLIENTS_H_

#include "kernel_dvipa_connection.h"

#include <poll.h>

typedef struct kernel_dvipa_clients_t kernel_dvipa_clients_t;
typedef enum kernel_dvipa_subscribed_t kernel_dvipa_subscribed_t;

/**
 * Clients at a time, more are turned away.
 */
#define KERNEL_DVIPA_MAX_CLIENTS 16

/**
 * What a client has subscribed to.
 */
enum kernel_dvipa_subscribed_t {
	/** new SAs: this client is an agent */
	DVIPA_SUBSCRIBED_SAS = 1 << 0,
	/** what comes with the answer to list */
	DVIPA_SUBSCRIBED_LISTS = 1 << 5 | 1 << 6,
};

/**
 * The clients of the server. Any thread may broadcast; everything else is
 * done on one thread only, which is the only one that reads and destroys.
 */
struct kernel_dvipa_clients_t {

	/**
	 * Add a client.
	 *
	 * @param conn		client, gets owned
	 * @return			FALSE if there are too many, it is destroyed then
	 */
	bool (*add)(kernel_dvipa_clients_t *this, kernel_dvipa_connection_t *conn);

	/**
	 * Remove a client and destroy it.
	 *
	 * @param conn		client
	 */
	void (*remove)(kernel_dvipa_clients_t *this,
				   kernel_dvipa_connection_t *conn);

	/**
	 * Let an event wait for whoever subscribed to it. Never blocks; may be
	 * called from any thread. A client that is too slow gets disconnected.
	 *
	 * @param event		name of the event
	 * @param packet	its packet, gets cloned
	 */
	void (*broadcast)(kernel_dvipa_clients_t *this, const char *event,
					  chunk_t packet);

	/**
	 * Let an answer wait for a client.
	 *
	 * @param conn		client
	 * @param packets	packets, get owned and wiped
	 */
	void (*answer)(kernel_dvipa_clients_t *this,
				   kernel_dvipa_connection_t *conn, chunk_t packets);

	/**
	 * Change what a client has subscribed to.
	 *
	 * @param conn		client
	 * @param event		name of an event
	 * @param on		FALSE to end the subscription
	 * @return			FALSE if there is no such event
	 */
	bool (*subscribe)(kernel_dvipa_clients_t *this,
					  kernel_dvipa_connection_t *conn, chunk_t event, bool on);

	/**
	 * Send what waits for a client, as far as possible.
	 *
	 * @param conn		client
	 * @return			FALSE if it is gone
	 */
	bool (*send)(kernel_dvipa_clients_t *this,
				 kernel_dvipa_connection_t *conn);

	/**
	 * Count the clients that have subscribed to something.
	 *
	 * @param what		what that is
	 * @return			number of clients
	 */
	u_int (*count)(kernel_dvipa_clients_t *this,
				   kernel_dvipa_subscribed_t what);

	/**
	 * Fill in what to poll for.
	 *
	 * @param fds		room for KERNEL_DVIPA_MAX_CLIENTS
	 * @param conns		gets the client of each
	 * @return			number of clients
	 */
	u_int (*prepare_poll)(kernel_dvipa_clients_t *this, struct pollfd *fds,
						  kernel_dvipa_connection_t **conns);

	/**
	 * Destroy a kernel_dvipa_clients_t and its clients.
	 */
	void (*destroy)(kernel_dvipa_clients_t *this);
};

/**
 * Create a kernel_dvipa_clients_t.
 */
kernel_dvipa_clients_t *kernel_dvipa_clients_create();

#endif /** KERNEL_DVIPA_CLIENTS_H_ @}*/
