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
 * @defgroup kernel_dvipa_reader kernel_dvipa_reader
 * @{ @ingroup kernel_dvipa
 */

#ifndef KERNEL_DVIPA_READER_H_
#define KERNEL_DVIPA_READER_H_

#include "kernel_dvipa_writer.h"

/**
 * Reads messages of the VICI protocol in place. Nothing is allocated, every
 * chunk points into the message. Messages are hostile until
 * kernel_dvipa_reader_valid() has said otherwise; the other functions are safe
 * on any bytes, but only mean something after that.
 */

/**
 * Sections deeper than this are invalid: no message of ours has more than 3.
 */
#define KERNEL_DVIPA_MAX_DEPTH 8

/**
 * Take the next element off a message.
 *
 * A section or list is taken as a whole.
 *
 * @param message	message, or body of a section or list; moved forward
 * @param name		set to the element's name, chunk_empty for list items
 * @param body		set to the value, or to what is inside of section or list
 * @return			DVIPA_SECTION_START, DVIPA_KEY_VALUE, DVIPA_LIST_START,
 *					DVIPA_LIST_ITEM; DVIPA_END; or DVIPA_INVALID
 */
kernel_dvipa_element_t kernel_dvipa_reader_next(chunk_t *message,
												chunk_t *name, chunk_t *body);

/**
 * Check the form of a whole message.
 *
 * @param message	message
 * @return			TRUE if all of it is valid
 */
bool kernel_dvipa_reader_valid(chunk_t message);

/**
 * Find an element of a message, not looking into sections.
 *
 * @param message	message, or body of a section
 * @param type		type it must have
 * @param name		its name
 * @param body		set to its value, or what is inside of it
 * @return			FALSE if there is no such element, or if it is there twice
 */
bool kernel_dvipa_reader_get(chunk_t message, kernel_dvipa_element_t type,
							 const char *name, chunk_t *body);

/**
 * Parse a decimal number: digits only.
 *
 * @param text		text
 * @param limit		largest number accepted
 * @param number	set to the number
 * @return			FALSE if this is no such number
 */
bool kernel_dvipa_reader_number(chunk_t text, uint64_t limit,
								uint64_t *number);

/**
 * Find and parse a number.
 */
bool kernel_dvipa_reader_get_number(chunk_t message, const char *name,
									uint64_t limit, uint64_t *number);

/**
 * Find a yes or no.
 */
bool kernel_dvipa_reader_get_bool(chunk_t message, const char *name,
								  bool *value);

/**
 * Find a text of visible ASCII characters.
 *
 * @param message	message, or body of a section
 * @param name		name of the value
 * @param buf		gets the text, with a NUL at its end
 * @param len		size of buf
 * @return			FALSE if missing, empty, too long, or of other characters
 */
bool kernel_dvipa_reader_get_text(chunk_t message, const char *name,
								  char *buf, size_t len);

#endif /** KERNEL_DVIPA_READER_H_ @}*/
