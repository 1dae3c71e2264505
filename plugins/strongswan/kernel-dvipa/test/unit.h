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
 * A few words to write tests with: no framework, no dependency. A failed
 * expectation prints where and ends the program, so sanitizers see no more.
 */

#ifndef UNIT_H_
#define UNIT_H_

#include <stdio.h>
#include <stdlib.h>

#define expect(claim) ({ \
	if (!(claim)) \
	{ \
		fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #claim); \
		exit(1); \
	} \
})

/** Suites, one per file. */
void test_wire();
void test_tables();
void test_groups();
void test_check();
void test_commands();
void test_delegate();
void test_server();

#endif /** UNIT_H_ */
