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

/*
 * Unit tests of the plugin's parts, without a charon: built and run by
 * scripts/test-plugin-asan under AddressSanitizer and UBSan.
 */

#include "unit.h"

#include <library.h>

#include "../kernel_dvipa_version.h"

static void test_version()
{
	struct {
		chunk_t data;
		const char *version;
	} tests[] = {
		{ chunk_from_chars('x', 0, '5', '.', '9', '.', '8', 0), "5.9.8" },
		{ chunk_from_chars('6', '.', '0', '.', '1', '0', 'r', 'c', '1', 0), "6.0.10rc1" },
		{ chunk_from_chars('6', '.', '0', '.', '0', 'd', 'r', '2', 0), "6.0.0dr2" },
		/* not terminated, not alone, too few parts, too many, nothing */
		{ chunk_from_chars('5', '.', '9', '.', '8'), NULL },
		{ chunk_from_chars('v', '5', '.', '9', '.', '8', 0), NULL },
		{ chunk_from_chars('5', '.', '9', 0), NULL },
		{ chunk_from_chars('5', '.', '9', '.', '8', '.', '1', 0), NULL },
		{ chunk_from_chars('5', '.', '.', '8', 0), NULL },
		{ chunk_from_chars('6', '.', '0', '.', '0', 'r', 'c', 0), NULL },
		{ chunk_from_chars(0, 0, 0), NULL },
		{ { NULL, 0 }, NULL },
	};
	char version[KERNEL_DVIPA_VERSION_LEN];
	u_int i;

	for (i = 0; i < countof(tests); i++)
	{
		if (tests[i].version)
		{
			expect(kernel_dvipa_version_find(tests[i].data, version));
			expect(streq(version, tests[i].version));
		}
		else
		{
			expect(!kernel_dvipa_version_find(tests[i].data, version));
		}
	}
	/* this program carries none, the vici plugin beside the library does */
	expect(kernel_dvipa_version_running(version));
	expect(streq(version, VERSION));
}

int main()
{
	library_init(NULL, "kernel-dvipa-test");
	expect(lib->plugins->load(lib->plugins, "random"));
	test_version();
	test_wire();
	test_tables();
	test_groups();
	test_check();
	test_commands();
	test_delegate();
	test_server();
	library_deinit();
	printf("all passed\n");
	return 0;
}
