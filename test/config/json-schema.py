"""Reads {"schema": ..., "instances": [...]} from stdin; prints, for each instance, null or why it is not valid."""

import json
import sys

from jsonschema import Draft7Validator, FormatChecker

job = json.load(sys.stdin)
Draft7Validator.check_schema(job["schema"])
validator = Draft7Validator(job["schema"], format_checker=FormatChecker())
faults = (next(validator.iter_errors(instance), None) for instance in job["instances"])
json.dump([fault and f"{fault.json_path}: {fault.message}" for fault in faults], sys.stdout)
