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
 * @defgroup kernel_dvipa_server kernel_dvipa_server
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_SERVER_H_
#define KERNEL_DVIPA_SERVER_H_

#include "kernel_dvipa_connection.h"

typedef struct kernel_dvipa_server_t kernel_dvipa_server_t;
typedef struct kernel_dvipa_handler_t kernel_dvipa_handler_t;

/**
 * What the server serves. Called on the server's thread.
 */
struct kernel_dvipa_handler_t {

	/**
	 * Run a command.
	 *
	 * @param user		user of this handler
	 * @param command	name of the command
	 * @param message	its message, of valid form
	 * @param writer	gets the answer's packets; none if there is no such
	 *					command
	 * @param listed	TRUE if the client takes the events "list-sa" and
	 *					"list-policy" with the answer
	 */
	void (*command)(void *user, chunk_t command, chunk_t message,
					kernel_dvipa_writer_t *writer, bool listed);

	/**
	 * The number of clients that subscribed to SAs has changed.
	 *
	 * @param user		user of this handler
	 * @param count		number of such clients
	 */
	void (*agents)(void *user, u_int count);

	/**
	 * First argument of both.
	 */
	void *user;
};

/**
 * Serves the VICI protocol on a Unix socket that only charon's user may open,
 * on a thread of its own: an answer the agent gives must not have to wait for
 * one of charon's workers, which may be waiting for just that answer.
 */
struct kernel_dvipa_server_t {

	/**
	 * Send an event to whoever subscribed to it. Never blocks; may be called
	 * from any thread.
	 *
	 * @param event		name of the event
	 * @param packet	its packet, gets cloned
	 */
	void (*broadcast)(kernel_dvipa_server_t *this, const char *event,
					  chunk_t packet);

	/**
	 * Destroy a kernel_dvipa_server_t, and remove its socket.
	 */
	void (*destroy)(kernel_dvipa_server_t *this);
};

/**
 * Create a kernel_dvipa_server_t.
 *
 * @param uri			where to listen, unix:// and a path
 * @param handler		handler, gets copied
 * @return				NULL if it can't listen there, which is logged
 */
kernel_dvipa_server_t *kernel_dvipa_server_create(const char *uri,
											kernel_dvipa_handler_t *handler);

#endif /** KERNEL_DVIPA_SERVER_H_ @}*/
