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
 * @defgroup kernel_dvipa_writer kernel_dvipa_writer
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_WRITER_H_
#define KERNEL_DVIPA_WRITER_H_

#include <library.h>

typedef struct kernel_dvipa_writer_t kernel_dvipa_writer_t;
typedef enum kernel_dvipa_packet_t kernel_dvipa_packet_t;
typedef enum kernel_dvipa_element_t kernel_dvipa_element_t;

/**
 * Packet types of the VICI protocol.
 */
enum kernel_dvipa_packet_t {
	/** a command, with name and message */
	DVIPA_CMD_REQUEST = 0,
	/** reply to a command, with message */
	DVIPA_CMD_RESPONSE = 1,
	/** reply to a command nobody knows */
	DVIPA_CMD_UNKNOWN = 2,
	/** subscribe to an event, with name */
	DVIPA_EVENT_REGISTER = 3,
	/** end a subscription, with name */
	DVIPA_EVENT_UNREGISTER = 4,
	/** reply to either of them */
	DVIPA_EVENT_CONFIRM = 5,
	/** reply to either of them, if nobody knows the event */
	DVIPA_EVENT_UNKNOWN = 6,
	/** an event, with name and message */
	DVIPA_EVENT = 7,
};

/**
 * Message elements of the VICI protocol.
 */
enum kernel_dvipa_element_t {
	/** the message ends here, never on the wire */
	DVIPA_END = 0,
	/** section, with name; ends with DVIPA_SECTION_END */
	DVIPA_SECTION_START = 1,
	DVIPA_SECTION_END = 2,
	/** name and value */
	DVIPA_KEY_VALUE = 3,
	/** list, with name; ends with DVIPA_LIST_END */
	DVIPA_LIST_START = 4,
	DVIPA_LIST_ITEM = 5,
	DVIPA_LIST_END = 6,
	/** not a valid element, never on the wire */
	DVIPA_INVALID = 255,
};

/**
 * Encodes packets of the VICI protocol, one after the other, into one buffer.
 *
 * The buffer may hold keys: whatever is left of it is wiped, also when it grows.
 * Numbers on the wire are in network order.
 */
struct kernel_dvipa_writer_t {

	/**
	 * Begin a packet. Packets don't nest.
	 *
	 * @param type		packet type
	 * @param name		name of command or event, NULL if this type has none
	 */
	void (*begin_packet)(kernel_dvipa_writer_t *this,
						 kernel_dvipa_packet_t type, const char *name);

	/**
	 * End the packet, filling in its length.
	 */
	void (*end_packet)(kernel_dvipa_writer_t *this);

	/**
	 * Begin a section.
	 *
	 * @param name		name of the section
	 */
	void (*begin_section)(kernel_dvipa_writer_t *this, const char *name);

	/**
	 * End the innermost section.
	 */
	void (*end_section)(kernel_dvipa_writer_t *this);

	/**
	 * Begin a list.
	 *
	 * @param name		name of the list
	 */
	void (*begin_list)(kernel_dvipa_writer_t *this, const char *name);

	/**
	 * End the list.
	 */
	void (*end_list)(kernel_dvipa_writer_t *this);

	/**
	 * Add a value as text.
	 *
	 * @param name		name of the value
	 * @param fmt		printf() style format, as known to libstrongswan
	 * @param ...		its arguments
	 */
	void (*add)(kernel_dvipa_writer_t *this, const char *name,
				const char *fmt, ...);

	/**
	 * Add a binary value.
	 *
	 * @param name		name of the value
	 * @param value		value, at most 65535 bytes
	 */
	void (*add_chunk)(kernel_dvipa_writer_t *this, const char *name,
					  chunk_t value);

	/**
	 * Add an item, as text, to the list.
	 *
	 * @param fmt		printf() style format, as known to libstrongswan
	 * @param ...		its arguments
	 */
	void (*add_item)(kernel_dvipa_writer_t *this, const char *fmt, ...);

	/**
	 * Take the packets out of the writer, which is empty then.
	 *
	 * @return			packets, to be freed with chunk_clear()
	 */
	chunk_t (*extract)(kernel_dvipa_writer_t *this);

	/**
	 * Destroy a kernel_dvipa_writer_t, wiping what was not extracted.
	 */
	void (*destroy)(kernel_dvipa_writer_t *this);
};

/**
 * Create a kernel_dvipa_writer_t.
 */
kernel_dvipa_writer_t *kernel_dvipa_writer_create();

#endif /** KERNEL_DVIPA_WRITER_H_ @}*/
